"""Tests of the client of OPA, without OPA."""
