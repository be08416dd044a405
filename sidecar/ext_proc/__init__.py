"""The gate as Envoy's external processor: uploads and answers, read as they pass.

``processor`` follows one stream per request, ``uploads`` and ``answers`` read its two directions,
and ``decisions`` decides and registers with the same lifecycle as the authorization service.
"""
