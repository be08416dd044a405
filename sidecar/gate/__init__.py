"""The request path: from Envoy's question to a well-formed answer, in one straight line.

``extract.check_request`` → ``extract.extractor`` → ``identity.credential`` → ``core.assess`` →
``opa.client`` → ``core.decide`` → ``check_response``. ``pipeline`` is that line; ``server`` is the
gRPC service around it. Every stage takes and returns frozen values and refuses by raising
``AdmissibilityError``; any other exception becomes a denial as well.
"""
