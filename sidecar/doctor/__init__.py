"""Checks every part of an installation, and whether the gate decides every request.

Each check is a function that examines one part and returns findings. Checks only read, except the
canary: a request without a credential, for a model that does not exist. It must be denied.
"""
