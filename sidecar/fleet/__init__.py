"""Signed statuses of gates: what each one has in force, proven by its own key."""
