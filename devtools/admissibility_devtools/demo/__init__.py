"""Demonstrates the whole system on one machine, as a story in eleven scenes.

Everything is real (authorities, keys, TUF repositories, the gate, Envoy, OPA, the ``openai`` SDK)
but the provider's cloud, which cannot be had here: ``upstream`` stands in for it, serves its wire
format, and keeps what it was sent.
"""
