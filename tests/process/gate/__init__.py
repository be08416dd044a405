"""Tests of the gate package."""
