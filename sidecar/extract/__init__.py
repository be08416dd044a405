"""Parses a ``CheckRequest`` into the call it makes, or a refusal. Pure.

``check_request`` reads Envoy's message, ``router`` finds the operation, ``body``, ``multipart`` and
``batch_lines`` parse the body, and ``extractor`` lists every model that the call can reach.
``parsed_request`` does all of it for a serialized message, in the gate or in a worker process.
"""
