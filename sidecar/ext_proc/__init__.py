"""Serves Envoy's ``ExternalProcessor``: reads batch uploads and registers created objects.

``processor`` handles one gRPC stream per HTTP request, ``uploads`` and ``responses`` read the
bodies of its two directions, and ``decisions`` decides and registers with the same lifecycle as the
authorization service.
"""
