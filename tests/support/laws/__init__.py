"""A reference model of the laws, random histories, and a driver of the real predicate."""
