"""What a withdrawal would stop, computed before it is published."""
