"""The house: who may import whom. Read from the source, so a wrong import fails here."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parent.parent
SIDECAR = TESTS.parent / "sidecar"
DEVTOOLS = TESTS.parent / "devtools"
LINTER = TESTS.parent / "packages" / "envoy-extauthz-lint" / "src" / "envoy_extauthz_lint"

MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "durable": set(),
    "formats": {"core", "durable"},
    "daemon": set(),
    "jetstream": {"tls"},
    "tls": {"core"},
    "destinations": {"durable", "formats", "jetstream"},
    "resources": set(),
    "providers": {"core"},
    "extract": {"core", "providers", "_pb"},
    "identity": {"core", "extract"},
    "registry": {"core", "durable", "providers", "extract"},
    "observe": {"core"},
    "opa": {"core", "durable", "resources"},
    "grpc_server": set(),
    "gate": {
        "core",
        "providers",
        "extract",
        "identity",
        "registry",
        "opa",
        "observe",
        "grpc_server",
        "_pb",
    },
    "ext_proc": {"core", "providers", "extract", "registry", "gate", "observe", "_pb"},
    "trust": {"core", "formats", "durable", "providers", "jetstream", "tls"},
    "authority": {"core", "destinations", "formats", "durable", "identity"},
    "binding": {"core", "formats", "durable", "evaluation", "providers"},
    "binder": {
        "core",
        "durable",
        "formats",
        "authority",
        "binding",
        "observe",
        "providers",
        "tls",
        "daemon",
        "destinations",
    },
    "evaluation": {"core", "formats", "durable"},
    "exports": {"core"},
    "simulate": {"core", "formats", "providers", "trust"},
    "policy": {"core", "opa"},
    "impact": {"core"},
    "fleet": {"core", "durable", "formats"},
    "relay": {"core", "daemon", "destinations", "durable", "formats", "tls", "trust"},
    "service": {
        "core",
        "durable",
        "formats",
        "providers",
        "extract",
        "identity",
        "registry",
        "opa",
        "gate",
        "ext_proc",
        "trust",
        "observe",
        "fleet",
        "_pb",
    },
    "doctor": {
        "core",
        "durable",
        "providers",
        "extract",
        "identity",
        "gate",
        "opa",
        "jetstream",
        "formats",
        "service",
        "resources",
        "tls",
        "trust",
    },
    "cli": {
        "core",
        "formats",
        "relay",
        "destinations",
        "resources",
        "durable",
        "providers",
        "extract",
        "identity",
        "registry",
        "authority",
        "binding",
        "binder",
        "evaluation",
        "exports",
        "trust",
        "gate",
        "observe",
        "opa",
        "policy",
        "service",
        "doctor",
        "simulate",
        "impact",
        "fleet",
        "_pb",
    },
}

IMPURE = {
    "aiohttp",
    "asyncio",
    "grpc",
    "http",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "requests",
    "secrets",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
    "uuid",
}


class Source(NamedTuple):
    """What the tests ask of a file, without its tree, which the garbage collector would walk.

    Attributes:
        lines: How many it has.
        imports: Every import, wherever in the file.
        functions: The name and the number of lines of each.
        calls: The name and the line of each method or function of a module that is called.
    """

    lines: int
    imports: tuple[ast.Import | ast.ImportFrom, ...]
    functions: tuple[tuple[str, int], ...]
    calls: tuple[tuple[str, int], ...]


@cache
def parsed(path: Path) -> Source:
    """Parse a file, once for all the tests."""
    text = path.read_text(encoding="utf-8")
    imports: list[ast.Import | ast.ImportFrom] = []
    functions, calls = [], []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import() | ast.ImportFrom():
                imports.append(node)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                functions.append((name, (node.end_lineno or node.lineno) - node.lineno + 1))
            case ast.Call(func=ast.Attribute(attr=name)):
                calls.append((name, node.lineno))
    return Source(len(text.splitlines()), tuple(imports), tuple(functions), tuple(calls))


def sources(package: str) -> list[Path]:
    return sorted((SIDECAR / package).rglob("*.py"))


@cache
def imported(path: Path) -> frozenset[str]:
    """Dotted names of everything a module imports, wherever in the file."""
    found: set[str] = set()
    for node in parsed(path).imports:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def neighbours(path: Path) -> set[str]:
    parts = [name.split(".") for name in imported(path)]
    return {name[1] for name in parts if name[0] == "sidecar" and len(name) > 1}


def test_every_package_of_the_house_is_known_here() -> None:
    packages = {path.parent.name for path in SIDECAR.glob("*/__init__.py")}
    assert packages - {"_pb"} == set(MAY_IMPORT)


def test_nobody_imports_whom_the_house_does_not_let_them() -> None:
    wrong = {
        (str(path.relative_to(SIDECAR)), other)
        for package, allowed in MAY_IMPORT.items()
        for path in sources(package)
        for other in neighbours(path) - allowed - {package}
    }
    assert wrong == set()


def test_the_core_is_pure() -> None:
    wrong = {
        (path.name, name)
        for path in sources("core")
        for name in imported(path)
        if name.split(".")[0] in IMPURE
    }
    assert wrong == set()


def test_the_core_never_asks_what_time_it_is() -> None:
    clocks = {"now", "utcnow", "today"}
    wrong = [
        (path.name, line)
        for path in sources("core")
        for name, line in parsed(path).calls
        if name in clocks
    ]
    assert wrong == []


def test_the_linter_imports_neither_the_sidecar_nor_anything_impure() -> None:
    wrong = {
        (path.name, name)
        for path in LINTER.rglob("*.py")
        for name in imported(path)
        if name.split(".")[0] in {"sidecar", "tests"} | IMPURE - {"urllib"}
        and (path.name, name) != ("__main__.py", "pathlib.Path")
    }
    assert wrong == set()


def test_files_and_functions_stay_readable() -> None:
    long_files, long_functions = [], []
    written = {path for path in SIDECAR.rglob("*.py") if "_pb" not in path.parts}
    written |= set(LINTER.rglob("*.py")) | set(DEVTOOLS.rglob("*.py"))
    written |= set(TESTS.rglob("*.py"))
    for path in sorted(written):
        source, name = parsed(path), path.relative_to(TESTS.parent)
        if source.lines > 400:
            long_files.append(str(name))
        long_functions += [
            f"{name}:{function}" for function, lines in source.functions if lines > 60
        ]
    assert (long_files, long_functions) == ([], [])


def test_nothing_for_tests_lives_in_the_product() -> None:
    wrong = {
        (str(path.relative_to(SIDECAR)), name)
        for path in SIDECAR.rglob("*.py")
        for name in imported(path)
        if name.split(".")[0] in {"tests", "pytest", "hypothesis", "unittest"}
    }
    assert wrong == set()


def test_the_product_uses_devtools_only_in_commands_and_only_when_they_are_called() -> None:
    """An installation without the extra still imports, serves and verifies."""
    wrong = {
        str(path.relative_to(SIDECAR))
        for path in SIDECAR.rglob("*.py")
        for node in parsed(path).imports
        if "admissibility_devtools" in ast.unparse(node)
        and (path.parent.name != "cli" or node.col_offset == 0)
    }
    assert wrong == set()


def test_no_test_module_is_imported() -> None:
    """Helpers live in modules of their own, so that a test file can be moved or split freely."""
    wrong = {
        (str(path.relative_to(TESTS)), name)
        for path in TESTS.rglob("*.py")
        for name in imported(path)
        if name.startswith("tests.") and any(part.startswith("test_") for part in name.split("."))
    }
    assert wrong == set()
