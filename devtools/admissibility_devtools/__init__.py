"""Tools around the gate that an installation does not run: the demo and obtained programs."""
