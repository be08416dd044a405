"""Groups of options are options of the command, and reach it as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from sidecar.cli.option_groups import grouped


@dataclass(frozen=True, slots=True)
class Place:
    shelf: Annotated[str, typer.Option(help="Which shelf.")]
    row: Annotated[int, typer.Option(help="Which row.")] = 1


def test_a_group_is_options_of_the_command_and_one_value_within_it() -> None:
    app, seen = typer.Typer(), []

    @app.command()
    @grouped
    def put(book: Annotated[str, typer.Argument()], place: Place, copies: int = 2) -> None:
        """Put a book away."""
        seen.append((book, place, copies))

    run = CliRunner().invoke
    assert run(app, ["--shelf", "s", "b", "--copies", "3"]).exit_code == 0
    assert run(app, ["b", "--shelf", "t", "--row", "9"]).exit_code == 0
    assert seen == [("b", Place("s"), 3), ("b", Place("t", 9), 2)]
    missing = run(app, ["b"])
    assert (missing.exit_code, "--shelf" in missing.output) == (2, True)
    text = run(app, ["--help"]).output
    assert "Which row." in text
    assert "Put a book away." in text
