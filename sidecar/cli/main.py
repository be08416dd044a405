"""``admit``: the command line of the sidecar.

Commands are looked up in a table and imported when they are asked for, so that an authority's
machine need not load a server to withdraw something. Whatever goes wrong ends in one clear line on
the standard error stream and exit code 2.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from types import ModuleType
from typing import Any, cast

import typer
from typer.core import TyperGroup

from sidecar.cli import help_text

PANELS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Run a gate": (
        ("demo", "sidecar.cli.demo", "demo"),
        ("tools", "sidecar.cli.tools", "tools"),
        ("serve", "sidecar.cli.serve", "serve"),
        ("status", "sidecar.cli.status", "status"),
        ("health", "sidecar.cli.status", "health"),
        ("doctor", "sidecar.cli.doctor", "doctor"),
        ("envoy", "sidecar.cli.envoy", "app"),
        ("fleet", "sidecar.cli.fleet", "fleet"),
        ("relay", "sidecar.cli.relay", "relay"),
        ("docs", "sidecar.cli.docs", "docs"),
    ),
    "Find out what is admitted, and why": (
        ("verify", "sidecar.cli.verify", "verify"),
        ("explain", "sidecar.cli.verify", "explain"),
        ("impact", "sidecar.cli.impact", "assess_impact"),
        ("audit", "sidecar.cli.audit", "audit"),
        ("simulate", "sidecar.cli.simulate", "play"),
    ),
    "From a tuning job to a manifest": (
        ("preflight", "sidecar.cli.preflight", "preflight"),
        ("job", "sidecar.cli.job", "app"),
        ("binder", "sidecar.cli.binder", "app"),
        ("bind", "sidecar.cli.bind", "bind"),
        ("bind-bedrock", "sidecar.cli.bind_bedrock", "bind_bedrock"),
        ("bind-adapter", "sidecar.cli.adapter", "bind_adapter"),
        ("verify-adapter", "sidecar.cli.adapter", "verify_adapter"),
        ("export", "sidecar.cli.export", "export"),
    ),
    "Evaluate": (
        ("suite", "sidecar.cli.suite", "app"),
        ("evaluate", "sidecar.cli.evaluate", "app"),
        ("result", "sidecar.cli.result", "result"),
        ("retract", "sidecar.cli.withdraw", "retract"),
    ),
    "Be an authority": (
        ("authority", "sidecar.cli.authority", "app"),
        ("publish", "sidecar.cli.publish", "publish"),
        ("declare", "sidecar.cli.declare", "app"),
        ("approve", "sidecar.cli.approve", "approve"),
        ("waive", "sidecar.cli.waive", "waive"),
        ("withdraw", "sidecar.cli.withdraw", "withdraw"),
        ("retirements", "sidecar.cli.retirements", "app"),
        ("resign", "sidecar.cli.resign", "resign"),
    ),
    "Write policies": (("policy", "sidecar.cli.policy", "app"),),
}
"""By panel of the help, in its order: name, module, and the function or group in it."""

COMMANDS = tuple(row for rows in PANELS.values() for row in rows)
_PANEL_OF = {name: panel for panel, rows in PANELS.items() for name, _, _ in rows}

EXPECTED_ERRORS = frozenset(
    {
        "AuthorityError",
        "BinderError",
        "BindingError",
        "CliError",
        "ConfigError",
        "DoctorError",
        "EvaluationError",
        "EvidenceError",
        "FleetError",
        "HistoryError",
        "ImpactError",
        "OSError",
        "StageError",
        "PolicyError",
        "RegistryError",
        "ResourceError",
        "ServiceError",
        "SourceError",
        "StoreError",
        "ProgramError",
        "TrustConfigError",
    }
)
"""Errors whose message is shown as it is; by name, so that no module is imported for them."""

TRACEBACK_VARIABLE = "ADMIT_TRACEBACK"
USAGE = 2


class LazyGroup(TyperGroup):
    """A group that imports a command's module when the command is asked for."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - typer's own
        """Make the group, and name its commands to Typer, which suggests the nearest to a typo."""
        super().__init__(**settings)
        self.commands = dict.fromkeys((name for name, _, _ in COMMANDS), cast("Any", None))

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as typer calls it
        """Write the help, in which a flag has no value."""
        help_text.prepare_options(self)
        super().format_help(ctx, formatter)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - as typer calls it
        """Return the name of every command, in table order."""
        return [name for name, _, _ in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - as typer calls it
        """Import and build one command; ``None`` for a name that is not in the table."""
        for name, module, attribute in COMMANDS:
            if name == cmd_name:
                return _built(name, getattr(_imported(module), attribute))
        return None


def _imported(module: str) -> ModuleType:
    """Import a command's module without collecting garbage, of which imports leave none."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(module)
    finally:
        if collecting:
            gc.enable()


app = typer.Typer(
    name="admit",
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Admit a call to an adapted model only while every required authority agrees.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"admit {version('admissibility-sidecar')}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Admit a call to an adapted model only while every required authority agrees."""


def main() -> None:
    """Run ``admit``: the entry point of the console script."""
    # The interpreter's last collections would look through all that was imported: 0.2 s of 1.0.
    atexit.register(gc.freeze)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; never raises."""
    try:
        app(args=list(arguments), prog_name="admit")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        print(f"admit: {_message(error)}", file=sys.stderr)
        return USAGE
    return 0


def _message(error: Exception) -> str:
    text = " ".join(str(error).split())
    if any(kind.__name__ in EXPECTED_ERRORS for kind in type(error).__mro__):
        return text
    return (
        f"internal error: {type(error).__name__}: {text} (set {TRACEBACK_VARIABLE}=1 to see where)"
    )


def _built(name: str, target: typer.Typer | Callable[..., None]) -> Any:  # noqa: ANN401 - typer's own
    """Turn a group or a function into a command called ``name``."""
    if not isinstance(target, typer.Typer):
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(name)(target)
        target = single
    command: Any = typer.main.get_command(target)
    command.name, command.rich_help_panel = name, _PANEL_OF[name]
    help_text.prepare(command)
    return command
