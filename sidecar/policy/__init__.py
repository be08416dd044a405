"""Policies as files, as a signed bundle, and as something to work on: check, test, list, replay.

Knows nothing of requests: the gate serves what is built here, and the command line shows it.
"""
