"""The request path: from Envoy's question to a well-formed answer, in one straight line.

``envoy.read`` → ``extract`` → ``credential`` → ``core.assess`` → ``opa`` → ``core.decide`` →
``envoy.respond``. ``pipeline`` walks that line; ``server`` is the gRPC service around it. Every
stage takes and returns frozen values and refuses by raising ``AdmissibilityError``; whatever else
is raised becomes a denial as well.
"""
