"""Checks of the doctor that need no running installation."""
