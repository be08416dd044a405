"""Faults against real processes: seeded runs in which no answer may be unsafe.

``python -m tests.chaos --runs 200`` (``make chaos``); a few runs are part of ``make test``. Each
run draws what it is made of (``setups``): HTTPS, NATS or a relay, for repositories alone or for
evidence too, one process or several, an OPA behind a proxy, a clock that is set, a disk that fills.
"""
