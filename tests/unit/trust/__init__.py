"""Tests of the control path."""
