"""The tools of policy authors: scaffold, check, test, list, document, copy and replay policies.

They work on a folder of policies and know nothing of requests; building, signing and serving
bundles is in ``sidecar.opa``.
"""
