"""Serves over TLS with a certificate that is rotated while the server runs; reads certificates."""
