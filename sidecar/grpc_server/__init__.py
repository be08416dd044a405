"""Serves gRPC methods on the event loop, directly over gRPC's core."""
