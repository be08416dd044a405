"""The same bytes to the gate and to what servers read with: CPython, Go and Node."""
