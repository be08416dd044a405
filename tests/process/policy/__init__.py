"""Policies as files and bundles, and the tools over them, with the real OPA."""
