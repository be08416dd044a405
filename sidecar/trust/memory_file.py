"""Persists what the predicate must remember although its evidence may be lost (laws 6 and 7).

One file in the state folder, replaced by one rename and synced before the state that adds to it is
handed on. Only a running gate writes it; commands that run once read it.
"""

from __future__ import annotations

import logging
from pathlib import Path

from sidecar.core import memory as core_memory
from sidecar.core.memory import MAX_MEMORY_BYTES, NOTHING, Memory, Remembered
from sidecar.core.reasons import EvidenceError
from sidecar.durable.files import write_atomically
from sidecar.trust.config import TrustConfigError
from sidecar.trust.regular import NotRegularError, TooLargeError, read_regular

_LOG = logging.getLogger("sidecar.trust")

NAME = "memory.json"


def load(state_dir: Path) -> Memory:
    """Read what is remembered; nothing at first.

    Raises:
        TrustConfigError: It cannot be read. It is not guessed: what it holds are denials.
    """
    path = state_dir / NAME
    try:
        return core_memory.read(read_regular(path, MAX_MEMORY_BYTES))
    except FileNotFoundError:
        return NOTHING
    except (OSError, NotRegularError, TooLargeError, EvidenceError) as error:
        why = getattr(error, "strerror", None) or error
        raise TrustConfigError(
            f"{path}: is damaged: {why}; restore it from a backup, or remove it: then the gate "
            "forgets which manifests were superseded, unless their evidence is still there"
        ) from error


class MemoryFile:
    """The file, and whether it holds the newest memory. Its owner serialises the calls.

    Args:
        state_dir: The state folder, which exists.
        memory: What ``load`` returned.
    """

    def __init__(self, state_dir: Path, memory: Remembered) -> None:
        self._path = state_dir / NAME
        self._saved = memory
        self.problem = ""

    def save(self, memory: Remembered) -> None:
        """Write it, durably, if it differs; a failure is noted in ``problem`` and tried again.

        It is no reason to hold a state back: a withdrawal may be in it.
        """
        if memory is self._saved:
            return
        try:
            write_atomically(self._path, memory.write(), mode=0o600)
        except OSError as error:
            problem = f"{self._path} cannot be written: {error.strerror}"
            if problem != self.problem:
                _LOG.error("%s; a restart would forget what was superseded", problem)
            self.problem = problem
            return
        self._saved, self.problem = memory, ""
