"""Computes what a withdrawal would stop, before it is published."""
