"""Tests in one process: no Envoy, no OPA."""
