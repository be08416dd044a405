"""This process's sockets on one TCP port, as the kernel lists them (Linux, proc(5)).

gRPC cannot stop listening and keep serving. So the listening socket is shut down here: it leaves
the group of those that share the port, and new connections go to the others.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TABLES = ("/proc/self/net/tcp", "/proc/self/net/tcp6")
_ESTABLISHED, _LISTEN = "01", "0A"
_LOCAL, _STATE, _INODE = 1, 3, 9


@dataclass(frozen=True, slots=True)
class PortSockets:
    """The sockets on a port, looked up at each call; none where the kernel lists none.

    Args:
        port: The TCP port, at any address.
    """

    port: int

    def stop_listening(self) -> None:
        """Take this process's listening sockets out of the group that shares the port."""
        own = _own()
        for inode in self._inodes(_LISTEN):
            if inode in own:
                with socket.socket(fileno=os.dup(own[inode])) as listening:
                    listening.shutdown(socket.SHUT_RD)

    def connected(self) -> bool:
        """Return whether this process has connections there."""
        # The table is read before the descriptors: a connection accepted in between is in both.
        established = tuple(self._inodes(_ESTABLISHED))
        own = _own()
        return any(inode in own for inode in established)

    def others_listen(self) -> bool:
        """Return whether another process listens there, to which connections can go."""
        own = _own()
        return any(inode not in own for inode in self._inodes(_LISTEN))

    def _inodes(self, state: str) -> Iterator[str]:
        port = f":{self.port:04X}"
        for table in _TABLES:
            try:
                lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
            except OSError:
                continue
            for line in lines:
                parts = line.split()
                if parts[_STATE] == state and parts[_LOCAL].endswith(port):
                    yield parts[_INODE]


def _own() -> dict[str, int]:
    """Return the inodes of this process's sockets, with a file descriptor of each."""
    found = {}
    folder = Path("/proc/self/fd")
    for each in tuple(folder.iterdir()) if folder.exists() else ():
        try:
            target = each.readlink().name
        except OSError:
            continue
        if target.startswith("socket:["):
            found[target.removeprefix("socket:[").removesuffix("]")] = int(each.name)
    return found
