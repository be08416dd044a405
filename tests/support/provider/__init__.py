"""A provider's control plane in its real wire format, served on loopback."""
