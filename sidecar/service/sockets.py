"""The sockets that the supervisor of a gate keeps while its processes come and go."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

from sidecar.formats.addresses import split_address
from sidecar.service.config import SidecarConfig
from sidecar.service.startup import StartError, bound, starting

_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Sockets:
    """A bound socket that keeps the port of the workers, and one that listens for the metrics.

    Attributes:
        gate: Never listens, so that it gets no connection.
        metrics: The writer accepts from it.
        asked: ``listen`` and ``metrics`` as configured.
    """

    gate: socket.socket
    metrics: socket.socket
    asked: tuple[str, str]

    @classmethod
    def bind(cls, config: SidecarConfig) -> Sockets:
        """Bind both addresses.

        Raises:
            StartError: One is in use, invalid or not permitted.
        """
        with contextlib.ExitStack() as stack:
            with starting(f"metrics: {config.metrics}"):
                metrics = stack.enter_context(_bound(config.metrics))
                metrics.listen(_BACKLOG)
            with starting(f"listen: {config.listen}"):
                if not config.reuse_port:
                    _bound(config.listen).close()  # refused where another gate shares the port
                gate = stack.enter_context(_bound(config.listen, shared=True))
            stack.pop_all()
            return cls(gate, metrics, (config.listen, config.metrics))

    def named(self, config: SidecarConfig) -> SidecarConfig:
        """Return a configuration with the ports that were bound.

        Raises:
            StartError: It has other addresses than those that were bound.
        """
        if (config.listen, config.metrics) != self.asked:
            raise StartError("listen and metrics: other addresses need a restart of the gate")
        return config.model_copy(
            update={
                "listen": bound(config.listen, self.gate.getsockname()[1]),
                "metrics": bound(config.metrics, self.metrics.getsockname()[1]),
            }
        )

    def close(self) -> None:
        """Close both."""
        self.gate.close()
        self.metrics.close()


def _bound(address: str, *, shared: bool = False) -> socket.socket:
    """Bind an address; it is refused where others listen, unless all of them share it."""
    host, port = split_address(address)
    try:
        family, kind, protocol, _, name = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise OSError(error.errno, error.strerror) from error
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(name)
    except OSError:
        made.close()
        raise
    return made
