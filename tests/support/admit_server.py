"""Runs ``admit`` for shells without starting Python and importing the product each time.

A server imports every command once and forks for each call; ``admit`` on the path of a shell is a
small client that hands over its arguments, folder, environment and standard streams. What a command
does is the same as that of the console script, which tests of its own start.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, cast

import typer
from typer.core import TyperArgument, TyperOption

from sidecar import resources
from sidecar.cli.main import COMMANDS, LazyGroup, app, run
from sidecar.opa.errors import ProgramError
from sidecar.opa.location import opa_path

_VARIABLE = "ADMIT_SERVER"
_SERVERS = frozenset({"serve", "health", "doctor", "demo", "tools"})
"""Commands that are not imported before the fork: they start threads or processes of their own."""
_CLIENT = f"""\
import json, os, socket, sys
call = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX) as link:
    link.connect(os.environ["{_VARIABLE}"])
    socket.send_fds(link, [b"!"], [0, 1, 2])
    link.sendall(call)
    link.shutdown(socket.SHUT_WR)
    code = link.recv(1)
sys.exit(code[0] if code else 70)
"""


@contextmanager
def admit_on_path(folder: Path) -> Iterator[dict[str, str]]:
    """Serve ``admit`` while the context lasts.

    Args:
        folder: An empty folder with a short path, for the socket and the program.

    Yields:
        Variables for the shell; ``PATH`` holds only the folder of the program.
    """
    address, program = folder / "s", folder / "bin" / "admit"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable} -IS\n{_CLIENT}")
    program.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen(16)
        command = [sys.executable, "-m", __name__, str(listener.fileno())]
        server = subprocess.Popen(command, pass_fds=[listener.fileno()])
    try:
        yield {"PATH": str(program.parent), _VARIABLE: str(address)}
    finally:
        server.terminate()
        server.wait()


def serve(listener: socket.socket) -> None:
    """Answer calls until the process is ended."""
    _prepare()
    gc.freeze()  # a call looks for garbage in what is its own
    assert threading.active_count() == 1, threading.enumerate()
    while True:
        link, _ = listener.accept()
        if os.fork() == 0:
            os._exit(_answer(link))
        link.close()
        with suppress(ChildProcessError):  # none is left
            while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG):
                pass


def _prepare() -> None:
    """Make everything before the first fork that each call would make anew, and none changes.

    These are the modules, typer's commands, pydantic's readers of arguments, files and evidence,
    and the version that OPA prints.
    """
    with suppress(ProgramError):
        opa_path()
    build, command_of = LazyGroup.get_command, typer.main.get_command
    group = cast("LazyGroup", command_of(app))
    built = {name: build(group, None, name) for name, _, _ in COMMANDS if name not in _SERVERS}

    def get_command(self: LazyGroup, ctx: Any, cmd_name: str) -> Any:
        return built.get(cmd_name) or build(self, ctx, cmd_name)

    LazyGroup.get_command = get_command  # type: ignore[method-assign]

    def of_app(typer_instance: typer.Typer) -> Any:
        return group if typer_instance is app else command_of(typer_instance)

    typer.main.get_command = of_app
    for command in built.values():
        _read_types(command)
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as sink:
        home, history = f"{folder}/home", resources.law_examples()["law-1"]
        with redirect_stdout(sink), redirect_stderr(sink):
            for arguments in (
                ("--help",),
                ("authority", "init", "somebody", "--dir", home),
                ("authority", "show", "--home", home, "--json"),
                ("simulate", str(history), "--json"),
            ):
                assert run(arguments) == 0, arguments


def _read_types(command: Any) -> None:
    """Build what reads the arguments of a command, and of those below it."""
    for parameter in command.params:
        if isinstance(parameter, TyperArgument | TyperOption):
            parameter.get_runtime_param()
    for below in getattr(command, "commands", {}).values():
        _read_types(below)


def _answer(link: socket.socket) -> int:
    """Run one call with the caller's streams, and send it the exit status."""
    _, streams, _, _ = socket.recv_fds(link, 1, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    with link.makefile("rb") as incoming:
        arguments, folder, environment = json.load(incoming)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    code = run(arguments)
    sys.stdout.flush()
    link.sendall(bytes([code & 0xFF]))
    return code


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
