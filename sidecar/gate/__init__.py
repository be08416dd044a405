"""Decides each ``CheckRequest`` and writes its ``CheckResponse``: the request path.

``extract.check_request`` → ``extract.extractor`` → ``identity.credential`` → ``core.assess`` →
``opa.client`` → ``core.decide`` → ``check_response``. ``pipeline`` runs these stages in order;
``server`` is the gRPC service around it. Every stage takes and returns frozen values and refuses by
raising ``AdmissibilityError``; any other exception becomes a denial as well.
"""
