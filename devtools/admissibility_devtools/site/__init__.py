"""The documentation site: generated reference pages, and hooks for MkDocs."""
