"""From the bytes of a ``CheckRequest`` to the call it makes, or a refusal. Pure.

``check_request`` reads Envoy's message, ``router`` finds the operation, ``body``, ``multipart`` and
``batch_lines`` read what it carries, and ``extractor`` names every model that it can reach.
``parsed_request`` does all of it for a serialized message, in whichever process.
"""
