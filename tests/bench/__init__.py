"""The benchmark: one run, one machine, real Envoy with and without the real gate."""
