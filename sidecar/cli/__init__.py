"""``admit …``: thin commands, one module per noun; the work is done elsewhere."""

import os

# Read by gRPC's core when it is loaded: it writes past Python's logging, in a format of its own.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
