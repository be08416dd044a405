"""``admit …``: thin commands, one module per noun; the work is done elsewhere."""

import os

# Read by gRPC's core when it is loaded: it writes past Python's logging, in a format of its own.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# uvloop starts programs by fork; gRPC's handlers start its threads again in the child, which can
# crash there before it becomes the program. No process of ours uses gRPC on both sides of a fork.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
