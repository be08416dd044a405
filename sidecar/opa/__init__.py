"""Queries OPA, runs it as a managed process, and builds, signs and verifies its bundles.

``client`` sends a query and accepts a verdict of exactly one shape; ``live_engine`` replaces the
process without a gap when the policies change; ``bundle``, ``tree``, ``signing`` and ``revision``
make and verify what OPA loads; ``location`` finds the program; ``server`` runs an OPA for tools.
"""
