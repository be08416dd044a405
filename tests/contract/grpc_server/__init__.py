"""What a gRPC client may expect of the gate's server, whichever of the two serves."""
