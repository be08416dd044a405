"""Faults against real processes: seeded runs in which no answer may be unsafe.

``python -m tests.chaos --runs 200`` (``make chaos``); a few runs are part of ``make test``.
"""
