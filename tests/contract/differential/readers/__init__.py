"""Programs of their own, run by ``upstreams``."""
