"""Composes the gate: the only package that imports both the request path and the control path."""
