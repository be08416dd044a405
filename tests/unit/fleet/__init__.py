"""Signed statuses of gates, and the fleet that a person pins."""
