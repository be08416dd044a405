"""Reads a history from YAML; every mistake is reported with its line.

Strict like ``trust.yaml``: an unknown key, or one given twice, is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from sidecar.formats.unique_keys import UniqueKeysLoader
from sidecar.simulate import entries

MAX_HISTORY_BYTES = 1 << 20
T = TypeVar("T")

VERBS: dict[str, TypeAdapter[Any]] = {
    "declare": TypeAdapter(entries.Declare),
    "bind": TypeAdapter(entries.Bind),
    "pass": TypeAdapter(entries.Judge),
    "fail": TypeAdapter(entries.Judge),
    "approve": TypeAdapter(entries.Approve),
    "all-agree": TypeAdapter(entries.Text),
    "deploy": TypeAdapter(entries.Deploy),
    "withdraw": TypeAdapter(entries.Withdraw),
    "take-back": TypeAdapter(entries.TakeBack),
    "rotate": TypeAdapter(entries.Rotate),
    "resign": TypeAdapter(entries.Resign),
    "lose": TypeAdapter(entries.EvidenceEntry),
    "find": TypeAdapter(entries.EvidenceEntry),
    "mirror-hangs": TypeAdapter(entries.Text),
    "mirror-answers": TypeAdapter(entries.Text),
    "stops-publishing": TypeAdapter(entries.Text),
    "publishes-again": TypeAdapter(entries.Text),
    "restart": TypeAdapter(entries.Text),
    "wait": TypeAdapter(entries.Duration),
    "grants": TypeAdapter(entries.Regrant),
    "floors": TypeAdapter(Annotated[tuple[entries.FloorEntry, ...], Field(max_length=64)]),
}
"""What a step may do, and the shape of its arguments."""

_BESIDE = {"note", "expect"}


class HistoryError(Exception):
    """A history is wrong: the line, what was found there, and what is expected."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a verb with its arguments, a note for the reader, and the expected outcomes."""

    line: int
    verb: str
    arguments: Any
    note: str | None
    expect: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class History:
    """A history as it is played.

    Attributes:
        settings: Authorities, environments, questions and the operator's configuration.
        setup: Steps that are taken before the first answer.
        expect: Outcomes expected when the setup is done: question → ``admitted`` or a reason code.
        steps: Steps after each of which every question is asked.
        lines: The line of ``(part, name)``, such as ``("authorities", "acme")``.
    """

    settings: entries.HistoryEntry
    setup: tuple[Step, ...]
    expect: Mapping[str, str]
    steps: tuple[Step, ...]
    lines: Mapping[tuple[str, str], int]

    def line(self, part: str, name: str) -> int:
        """Return the line on which a named entry begins."""
        return self.lines.get((part, name), 1)


def read(data: bytes) -> History:
    """Read a history of at most ``MAX_HISTORY_BYTES``.

    Raises:
        HistoryError: Not YAML, not a history, or a step that does not exist.
    """
    if len(data) > MAX_HISTORY_BYTES:
        raise HistoryError(1, f"the file is larger than {MAX_HISTORY_BYTES} bytes")
    node, value = _load(data)
    if not isinstance(value, dict):
        raise HistoryError(1, "expected a mapping that begins with 'title:'")
    settings = _valid(TypeAdapter(entries.HistoryEntry), value, node)
    names = tuple(settings.questions)
    lines = {
        (part, name): _line(node, (part, name))
        for part in ("authorities", "environments", "questions")
        for name in value[part]
    }
    return History(
        settings,
        tuple(_step(node, ("setup", n), one, names) for n, one in enumerate(settings.setup)),
        _expected(settings.expect, names, _line(node, ("expect",))),
        tuple(_step(node, ("steps", n), one, names) for n, one in enumerate(settings.steps)),
        lines,
    )


def _step(
    node: yaml.Node, place: tuple[str | int, ...], value: dict[str, Any], questions: Sequence[str]
) -> Step:
    line = _line(node, place)
    found = [key for key in value if key not in _BESIDE]
    unknown = [key for key in found if key not in VERBS]
    if unknown:
        at = _line(node, (*place, unknown[0]))
        raise HistoryError(at, f"{unknown[0]!r} is not a step; expected one of {', '.join(VERBS)}")
    if len(found) != 1:
        raise HistoryError(line, f"a step does one thing, and this one does {len(found)}")
    note, verb = value.get("note"), found[0]
    if note is not None and not isinstance(note, str):
        raise HistoryError(line, "note: expected text")
    arguments = _valid(VERBS[verb], value[verb], _under(node, (*place, verb)), verb)
    expect = _expected(value.get("expect"), questions, _line(node, (*place, "expect")))
    return Step(line, verb, arguments, note, expect)


def _expected(value: object, questions: Sequence[str], line: int) -> Mapping[str, str]:
    """Read ``expect``: one outcome for every question, or one for each that is named."""
    if value is None:
        return {}
    if isinstance(value, str):
        return dict.fromkeys(questions, value)
    if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
        unknown = [name for name in value if name not in questions]
        if not unknown:
            return value
        raise HistoryError(
            line, f"expect: {unknown[0]!r} is not a question; expected {', '.join(questions)}"
        )
    raise HistoryError(line, "expect: expected 'admitted', a reason code, or one per question")


# ---- YAML and places in it ---------------------------------------------------------------------


def _load(data: bytes) -> tuple[yaml.Node, object]:
    try:
        loader = UniqueKeysLoader(data)
        try:
            node = loader.get_single_node()
            if node is None:
                raise HistoryError(1, "the file is empty; it begins with 'title:'")
            return node, loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise HistoryError(1 if mark is None else mark.line + 1, str(error.problem)) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise HistoryError(1, "is not YAML in UTF-8") from error


def _under(node: yaml.Node | None, place: Sequence[str | int]) -> yaml.Node | None:
    """Return the node at a place; None where the place does not exist."""
    for part in place:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == str(part)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part] if part < len(node.value) else None
        else:
            return None
    return node


def _line(node: yaml.Node | None, place: Sequence[str | int]) -> int:
    """Return the line of a key or an item, or that of the nearest thing around it."""
    for end in range(len(place), 0, -1):
        outer, part = _under(node, place[: end - 1]), place[end - 1]
        if isinstance(outer, yaml.MappingNode):
            for key, _ in outer.value:
                if key.value == str(part):
                    return int(key.start_mark.line) + 1
        inner = _under(node, place[:end])
        if inner is not None:
            return int(inner.start_mark.line) + 1
    return 1 if node is None else int(node.start_mark.line) + 1


def _valid(shape: TypeAdapter[T], value: object, node: yaml.Node | None, what: str = "") -> T:
    try:
        return shape.validate_python(value)
    except ValidationError as error:
        # A misspelt key is unknown here and missing there; "unknown" names the mistake.
        errors = error.errors(include_url=False)
        first = min(errors, key=lambda each: each["type"] != "extra_forbidden")
        place = tuple(part for part in first["loc"] if not str(part).startswith("function-"))
        named = ".".join(str(part) for part in (*((what,) if what else ()), *place))
        text = {
            "missing": "is missing",
            "extra_forbidden": "is not a key here",
        }.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise HistoryError(_line(node, place), f"{named}: {text}") from error
