"""Obtaining and finding the pinned programs."""
