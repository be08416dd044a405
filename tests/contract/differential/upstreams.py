"""Three readers of requests, as servers behind the gate have them, kept running for many questions.

Each is a program of its own under ``readers/``, made from its language's standard library alone.
"""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from admissibility_devtools.tools.find import NODE, go_path
from admissibility_devtools.tools.places import tools_folder
from sidecar.opa.location import locate

SOURCES = Path(__file__).parent / "readers"
NAMES = ("cpython", "go", "node")

Line = tuple[str, bytes]
Reading = tuple[Line, ...] | None
"""What a reader read: each place with its bytes, sorted; null where it would not read."""


@dataclass
class Reader:
    """One running reader."""

    child: subprocess.Popen[bytes]

    def ask(self, question: bytes) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(struct.pack(">I", len(question)) + question)
        self.child.stdin.flush()

    def answer(self) -> Reading:
        assert self.child.stdout is not None
        head = self.child.stdout.read(4)
        assert len(head) == 4, "a reader ended"
        said = self.child.stdout.read(*struct.unpack(">I", head)).decode("utf-8", "replace")
        if said.startswith("-"):
            return None
        lines = (line.partition("=") for line in said[1:].splitlines())
        return tuple(sorted((place, bytes.fromhex(value)) for place, _, value in lines))


@dataclass
class Upstreams:
    """All three."""

    readers: tuple[Reader, ...]

    def json(self, body: bytes) -> tuple[Reading, ...]:
        """Models and ``stream`` of a body."""
        return self._ask(b"j" + body)

    def form(self, content_type: str, body: bytes) -> tuple[Reading, ...]:
        """Texts and files called ``model`` of a form, and the names of its other parts."""
        head = content_type.encode("latin-1")
        return self._ask(b"m" + struct.pack(">H", len(head)) + head + body)

    def path(self, target: str) -> tuple[Reading, ...]:
        """The path a handler sees."""
        return self._ask(b"p" + target.encode("latin-1"))

    def _ask(self, question: bytes) -> tuple[Reading, ...]:
        for reader in self.readers:
            reader.ask(question)
        return tuple(reader.answer() for reader in self.readers)


@contextmanager
def running() -> Iterator[Upstreams]:
    """Start all three; end them afterwards."""
    commands = (
        [sys.executable, "-I", str(SOURCES / "reader.py")],
        [str(built(SOURCES / "reader.go"))],
        [str(locate(NODE)), str(SOURCES / "reader.js")],
    )
    with ExitStack() as stack:
        yield Upstreams(tuple(Reader(stack.enter_context(_child(each))) for each in commands))


@contextmanager
def _child(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield child
    finally:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.close()
        child.stdout.close()
        child.wait(timeout=10)


def built(source: Path) -> Path:
    """The program made from a Go file; made once for each text of it, without a network."""
    go = go_path()
    version = subprocess.run([go, "version"], capture_output=True, check=True).stdout
    digest = hashlib.sha256(version + source.read_bytes()).hexdigest()[:16]
    program = tools_folder() / "readers" / f"reader-{digest}"
    if not program.exists():
        program.parent.mkdir(exist_ok=True)
        made = program.with_name(f".{program.name}.{os.getpid()}")
        environment = {**os.environ, "GOPROXY": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
        subprocess.run([go, "build", "-o", made, source], env=environment, check=True)
        made.replace(program)
    return program
