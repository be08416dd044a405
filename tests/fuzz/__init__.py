"""``make fuzz``: each parser of the gate under a fuzzer that sees which branches it reaches."""
