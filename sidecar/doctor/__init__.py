"""``admit doctor``: is every part of an installation in order, and does the gate really guard it.

Each check is a small function that looks at one thing and returns findings. Checks only read, but
for the canary: a request without a credential, for a model that does not exist. It must be denied.
"""
