"""Tests that run one real program beside stand-ins."""
