"""The sandbox evaluation: what was measured is held against the envelope and countersigned."""
