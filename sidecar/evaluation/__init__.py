"""Checks measured scores against a manifest's evaluation envelope, and countersigns them."""
