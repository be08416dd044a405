"""A simulator with real keys: authorities, evidence and credentials, in memory.

Nothing here is a mock. Evidence is really signed (by a signer written apart from the product's,
so that one checks the other) and goes through the same ``trust_state.build`` as in production.
"""
