"""Every command in the guides is one that exists, and is run, or says why it is not."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from admissibility_devtools.site.commands import every as every_context
from sidecar.cli import help_text
from sidecar.cli.main import app
from tests.support.guides import ROOT, SHELLS, Block, blocks, commands, pages

_INLINE = re.compile(r"(?<!`)`(admit [^`]+)`(?!`)")
_SHELL_WORDS = frozenset({"|", "||", "&&", ";", ">", ">>", "<", "#", "2>", "&"})
_PROGRAM = re.compile(r"^(?:\.venv/bin/|v/bin/)?admit$")


def every() -> list[Block]:
    return [block for page in pages() for block in blocks(page)]


def every_command() -> list[Any]:
    """The Click context of every command that is no group."""
    return [each for each in every_context() if not hasattr(each.command, "list_commands")]


def shells() -> list[Block]:
    return [block for block in every() if block.language in SHELLS]


def calls(line: str) -> list[list[str]]:
    """The arguments of every ``admit`` in a line of shell."""
    found: list[list[str]] = []
    current: list[str] | None = None
    for word in words_of(line):
        if _PROGRAM.match(word):
            current = []
            found.append(current)
        elif word in _SHELL_WORDS or set(word) <= set("|&;<>"):
            current = None
        elif current is not None:
            current.append(word)
    return found


def words_of(line: str) -> list[str]:
    """The words of a line of shell; none of one that is part of a longer text."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        if _PROGRAM.search(line):
            raise
        return []


def resolve(arguments: list[str]) -> tuple[Any, list[str]]:
    """The command that arguments lead to, as Click's context, and what is left of them."""
    root: Any = typer.main.get_command(app)
    context = root.context_class(root, info_name="admit")
    rest = list(arguments)
    while rest and hasattr(context.command, "list_commands") and not rest[0].startswith("-"):
        name = rest.pop(0)
        command = context.command.get_command(context, name)
        if command is None:
            raise ValueError(f"{context.command_path} has no command {name}")
        context = command.context_class(command, info_name=name, parent=context)
    return context, rest


def mistake(arguments: list[str]) -> str | None:
    """Why ``admit ARGUMENTS`` would be refused before it began, if it would."""
    try:
        context, rest = resolve(arguments)
        if hasattr(context.command, "list_commands"):
            return None if rest in ([], ["--help"], ["--version"]) else "is a group of commands"
        if rest == ["--help"]:
            return None
        values, left, _ = context.command.make_parser(context).parse_args(args=list(rest))
    except Exception as error:  # noqa: BLE001 - Click's own errors, of the copy that Typer carries
        return str(error) or getattr(error, "message", type(error).__name__)
    if left:
        return f"has no place for {left}"
    missing = [
        parameter.name
        for parameter in context.command.params
        if parameter.required and not parameter.envvar and values.get(parameter.name) is None
    ]
    return f"lacks {missing}" if missing else None


def test_every_block_of_a_shell_says_that_it_is_one() -> None:
    shellish = re.compile(r"^(\$ |admit |\.venv/bin/|make |opa |python -m )", re.MULTILINE)
    unsaid = [b.place for b in every() if b.language in {"", "text"} and shellish.search(b.text)]
    assert [place for place in unsaid if not place.startswith("docs/reference/")] == []


def test_no_command_hides_in_an_indented_block() -> None:
    hidden = [
        f"{page}: {line.strip()}"
        for page in pages()
        for line in re.sub(
            r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.S
        ).splitlines()
        if re.match(r" {4,}(admit|make|opa|python|\.venv/bin/)", line)
    ]
    assert "\n".join(hidden) == ""


def test_every_admit_command_of_a_block_exists_with_its_options() -> None:
    wrong = [
        f"{block.place}: admit {shlex.join(arguments)}: {problem}"
        for block in shells()
        for line in commands(block)
        for arguments in calls(line)
        if (problem := mistake(arguments))
    ]
    assert "\n".join(wrong) == ""


def test_every_admit_command_in_a_sentence_exists_with_its_options() -> None:
    wrong: list[str] = []
    for page in pages():
        if page.startswith(("docs/adr/", "CHANGELOG")):
            continue  # of the time they were written
        for text in _INLINE.findall((ROOT / page).read_text("utf-8")):
            words = [word.strip("[]…") for word in text.split()[1:]]
            words = [word for word in words if word and word not in {"|", "COMMAND"}]
            wrong += [f"{page}: `{text}`: {problem}" for problem in sentence(words)]
    assert "\n".join(wrong) == ""


def sentence(words: list[str]) -> list[str]:
    """What is wrong with a command as a sentence names it: path and options, values left out."""
    try:
        context, rest = resolve(words)
    except ValueError as error:
        return [str(error)]
    known = {name for parameter in context.command.params for name in parameter.opts} | {"--help"}
    known |= {name for parameter in context.command.params for name in parameter.secondary_opts}
    if hasattr(context.command, "list_commands"):
        known |= {"--version"}
    given = {word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"}
    return [f"{context.command_path} has no option {name}" for name in sorted(given - known)]


def test_the_help_of_every_command_ends_with_examples_of_it() -> None:
    wrong = []
    for context in every_command():
        _, lines = help_text.split(context.command.help)
        if not lines:
            wrong.append(f"{context.command_path}: no example")
        wrong += [f"{line}: wider than help at 80 columns" for line in lines if len(line) > 76]
        for line in "\n".join(lines).replace("\\\n", "").splitlines():
            problem = mistake(calls(line)[0])
            if problem or not line.startswith(context.command_path):
                wrong.append(f"{line}: {problem}")
    assert "\n".join(wrong) == ""


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["verify", "m", "--environment", "e"], None),
        (["policy", "explain", "m"], "lacks ['environment']"),
        (["verify", "m", "--environment"], "requires an argument"),
        (["verify", "m", "n", "--environment", "e"], "has no place for ['n']"),
        (["verify", "--nothing"], "No such option"),
        (["veryfy", "m"], "no command veryfy"),
        (["authority"], None),
        (["policy", "lint"], "no command lint"),
    ],
)
def test_a_wrong_command_would_be_found(arguments: list[str], problem: str | None) -> None:
    found = mistake(arguments)
    assert (found is None) is (problem is None)
    assert problem is None or problem in str(found)


def test_every_file_that_the_guides_of_contributors_name_exists() -> None:
    """A path with a placeholder stands for files to come; a glob is none."""
    spans = re.compile(r"`((?:\.?[a-z_-]+/)+[\w.-]*)`")
    places = [ROOT, ROOT / "sidecar"]
    missing = [
        f"{page}: {name}"
        for page in ("docs/architecture.md", "CONTRIBUTING.md", "SECURITY.md")
        for name in spans.findall((ROOT / page).read_text("utf-8"))
        if not any((place / name).exists() for place in places)
    ]
    assert "\n".join(missing) == ""


def test_every_room_is_in_the_architecture() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    rooms = {path.parent.name for path in ROOT.glob("sidecar/*/__init__.py")} - {"_pb"}
    assert {room for room in rooms if f"| `sidecar/{room}` |" not in text} == set()
