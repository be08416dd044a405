"""Generates `sidecar/_pb` from `proto/`: ``python -m admissibility_devtools.tools.protos``.

Theory of operation
-------------------
The compiler maps the folder ``proto/`` to ``sidecar/_pb/`` (a virtual import path). Its
output then imports ``sidecar._pb.…`` by full name, and the descriptor is registered under a file
name nobody else uses, so nothing has to be patched afterwards.

grpcio-tools writes type stubs for messages but not for services; a small one is written here from
the compiled descriptor, so that servicers and stubs are checked by name.

The output is committed. A test regenerates it elsewhere and compares, so an edit of ``proto/``
without a regeneration (or of ``_pb/`` by hand) does not pass.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib import resources
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet, ServiceDescriptorProto

from admissibility_devtools.tools.places import repository_root
from sidecar.opa.errors import ProgramError

_PACKAGE = "sidecar/_pb"
_INIT = '"""Generated from proto/ by `make proto`. Not edited by hand."""\n'


def generate(out: Path) -> list[Path]:
    """Compile every file of `proto/` into `out`, and return what was written, sorted.

    Args:
        out: Folder to become the content of `sidecar/_pb`; made if it does not exist.

    Raises:
        ProgramError: The compiler is not installed or refused the input.
    """
    root = repository_root()
    sources = sorted(path.name for path in (root / "proto").glob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        _compile(root / "proto", sources, work)
        _write_service_stubs(work)
        made = work / _PACKAGE
        (made / "__init__.py").write_text(_INIT, encoding="utf-8")
        out.mkdir(parents=True, exist_ok=True)
        written = []
        for path in sorted(made.iterdir()):
            (out / path.name).write_bytes(path.read_bytes())
            written.append(out / path.name)
    return written


def _compile(proto: Path, sources: list[str], work: Path) -> None:
    try:
        from grpc_tools import protoc  # noqa: PLC0415 - a development dependency
    except ImportError as error:
        raise ProgramError("grpcio-tools is missing; run `make setup`") from error
    well_known = resources.files("grpc_tools") / "_proto"
    arguments = [
        "protoc",
        f"-I{_PACKAGE}={proto}",
        f"-I{well_known}",
        f"--python_out={work}",
        f"--pyi_out={work}",
        f"--grpc_python_out={work}",
        f"--descriptor_set_out={work / 'descriptors.bin'}",
        *(f"{_PACKAGE}/{name}" for name in sources),
    ]
    if protoc.main(arguments) != 0:
        raise ProgramError("the protocol compiler refused proto/; its message is above")


def _write_service_stubs(work: Path) -> None:
    descriptors = FileDescriptorSet.FromString((work / "descriptors.bin").read_bytes())
    for file in descriptors.file:
        if not file.service:
            continue
        module = Path(file.name).stem + "_pb2"
        text = "\n".join(
            [
                "from collections.abc import Awaitable",
                "from typing import Any",
                "",
                "import grpc",
                "import grpc.aio",
                "",
                f"from sidecar._pb import {module}",
                *(_service_stub(service, module) for service in file.service),
                "",
            ]
        )
        (work / _PACKAGE / f"{module}_grpc.pyi").write_text(text, encoding="utf-8")


def _service_stub(service: ServiceDescriptorProto, module: str) -> str:
    calls, methods = [], []
    for method in service.method:
        asked = f"{module}.{method.input_type.rsplit('.', 1)[-1]}"
        answered = f"{module}.{method.output_type.rsplit('.', 1)[-1]}"
        # A stream of answers is written to the context, so the method itself returns nothing.
        returned = f"{answered} | Awaitable[{answered}]"
        if method.server_streaming:
            returned = "Awaitable[None]"
        if method.client_streaming:
            asked = "Any"
        given = f"{asked} = ..." if method.client_streaming else asked
        calls.append(
            f"    def {method.name}(self, request: {given}, *, timeout: float | None = ...,"
            " metadata: Any = ..., wait_for_ready: bool | None = ...) -> Any: ..."
        )
        methods.append(
            f"    def {method.name}(self, request: {asked}, context: Any) -> {returned}: ..."
        )
    return "\n".join(
        [
            "",
            f"class {service.name}Stub:",
            "    def __init__(self, channel: grpc.Channel | grpc.aio.Channel) -> None: ...",
            *calls,
            "",
            f"class {service.name}Servicer:",
            *methods,
            "",
            f"def add_{service.name}Servicer_to_server(",
            f"    servicer: {service.name}Servicer, server: grpc.Server | grpc.aio.Server",
            ") -> None: ...",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Generate into the committed place, or into ``--out``."""
    parser = argparse.ArgumentParser(prog="python -m admissibility_devtools.tools.protos")
    parser.add_argument("--out", type=Path, default=None, help="folder to write into")
    chosen = parser.parse_args(arguments)
    try:
        written = generate(chosen.out or repository_root() / _PACKAGE)
    except ProgramError as error:
        sys.stderr.write(f"proto: {error}\n")
        return 1
    sys.stdout.writelines(f"{path}\n" for path in written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
