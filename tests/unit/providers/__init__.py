"""Tests of the provider descriptors."""
