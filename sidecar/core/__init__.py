"""The nouns and the predicate: bytes, values and time in; values out.

Nothing here reads a file, a clock or a socket, and nothing here knows Envoy or OPA. Read in the
order ``strict_json``, ``keys``, ``dsse``, ``wire``, ``predicates``, ``documents``, ``grants``,
``kinds``, ``evidence``, ``trust_state``, ``assess``, ``decide``: each builds on those before it.
"""
