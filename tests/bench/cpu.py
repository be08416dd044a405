"""Processor time by part: what a call costs, whoever else uses the machine.

Calls a second depend on what else runs; processor time per call much less so. It is read where the
kernel counts it, before and after a measurement.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

Spent = dict[str, float]


def spent(parts: Mapping[str, int]) -> Spent:
    """Seconds of processor time, user and system, that each process has used so far.

    Args:
        parts: Name → process id.
    """
    return {name: _seconds(pid) for name, pid in parts.items()}


def per_call(before: Spent, after: Spent, calls: int) -> dict[str, float]:
    """Microseconds of processor time that each part used for one call."""
    return {name: 1e6 * (after[name] - before[name]) / calls for name in before}


def _seconds(pid: int) -> float:
    # pid (comm) state …: comm may hold spaces, so count fields after its bracket (proc(5)).
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Resident memory of a process, in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
