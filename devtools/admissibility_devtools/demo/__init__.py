"""The demonstration: the whole system on one machine, told as a story.

Everything is real (authorities, keys, TUF repositories, the gate, Envoy, OPA, the ``openai`` SDK)
but the provider's cloud, which cannot be had here: ``upstream`` stands in for it, speaks its wire
format, and keeps what it was sent.
"""
