"""Writes ``docs/operations.md`` from the tables of operations.

Usage: ``python -m tests.contract.operations.generate_page``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from sidecar.core.reasons import AdmissibilityError
from sidecar.extract.router import ROUTES
from sidecar.providers import PROVIDERS
from sidecar.providers.json_paths import AllowedValues, Meaning, Owned, Role, Stored
from sidecar.providers.operation import Body, Kind, Operation
from sidecar.providers.provider import Provider
from tests.contract.operations.operations import Published, aws, openai
from tests.contract.operations.requests import fill

PAGE = Path(__file__).resolve().parents[3] / "docs" / "operations.md"

HEAD = """\
# Operations

The operations of each provider that the gate knows, one row each, generated from the tables in
`sidecar/providers/` by `python -m tests.contract.operations.generate_page`. A route's context
extension `api` chooses the table. **An operation in no row is refused**, and so is a route that
names a hosted provider (`provider: bedrock`) beside another table.

{providers}

| state | meaning |
|---|---|
| authorised | Every model id at the places named must be admissible |
| tuning | The model must be admissible for tuning here; the job must name a specification |
| closed | Refused unless `open_operations` in `sidecar.yaml` lists it |
| modelless, closed | The same. It can reach no model, so only the environment is checked |
| refused | Always, for the reason given |

What an operation *builds on* is stored at the provider and may hold other models. It must have been
[registered](stored-objects.md) when it was created through the gate; its models are checked again.
Where it says *owner only*, the object is read or changed and not run: with registration on, it must
have been registered for the caller's environment, whatever became of its models since.

These are refused everywhere:

- a key `model`, or one that begins with that word (`models`, `model_id`), at a place that the row
  does not have;
- a key or header by which some server runs another model, or uses another account, and a
  WebSocket's subprotocol that does;
- a tool, a format or a preference for which the provider would choose a model by itself;
- two places that name different models;
- a key of the query that the row does not have, where a model runs or something is made. Where an
  operation only reads, a key is refused if its name, or a part of it in brackets, could name a
  model (`model=`, `filter[model]=`); `include[]=`, `include%5B%5D=`, filters, order, paging and
  `metadata[…]=` pass in every spelling.

A listing shows the objects of every environment that uses the provider's account: the gate cannot
filter it. So listings are closed; opened, they show ids and nothing can be done with them. Jobs of
Bedrock and Vertex AI are registered with a few changes to their reference configurations
([envoy/README.md](../envoy/README.md#registration-for-bedrock-and-vertex-ai)); without them, their
reads and cancels are refused with registration on, and any environment's with it off.
"""

PUBLISHED = {"openai": openai, "bedrock": aws}
"""Interfaces that are published whole; Azure's shapes are those of OpenAI below other paths."""
_PARAMETER = re.compile(r"\{(\w+)\}")
_NAMING = {"model", "deployment"}
_OF_NO_INTEREST = {*_NAMING, "id"}


def page() -> str:
    """The whole page."""
    sections = ", ".join(f"[{api.title}](#{_anchor(api)})" for api in PROVIDERS.values())
    head = HEAD.replace("{providers}", sections)
    return "\n".join([head, *(_section(api) for api in PROVIDERS.values())])


def _anchor(api: Provider) -> str:
    """The anchor that renderers of Markdown give the heading of a section."""
    heading = f"{api.title} (api: {api.name})".lower()
    return re.sub(r"[^\w -]", "", heading).replace(" ", "-")


def _section(api: Provider) -> str:
    lines = [f"## {api.title} (`api: {api.name}`)", "", api.documentation, ""]
    lines += [
        "| operation | method and route | names a model in | builds on | state |",
        "|---|---|---|---|---|",
        *(_row(operation) for operation in api.operations),
        "",
    ]
    if api.name in PUBLISHED:
        lines += [_not_here(PUBLISHED[api.name]()), ""]
    return "\n".join(lines)


def _row(row: Operation) -> str:
    upgrade = " (WebSocket)" if row.upgrade else ""
    cells = (
        f"`{row.name}`",
        f"{row.method} `{row.route}`{upgrade}",
        ", ".join(_models(row)) or "—",
        ", ".join(_built_on(row)) or "—",
        _state(row),
    )
    return f"| {' | '.join(cells)} |"


def _models(row: Operation) -> list[str]:
    found = ["the path"] if _NAMING & set(_PARAMETER.findall(row.route)) else []
    found += [f"query `{key}`" for key, role in row.query.items() if role is Role.MODEL]
    found += [_place(place, role) for place, role in row.reads.items() if _is_model(role)]
    found += [f"field `{name}`" for name, role in row.form.items() if _is_model(role)]
    return found


def _is_model(role: Meaning) -> bool:
    return role in (Role.MODEL, Role.TUNED, Role.MODELS_BELOW)


def _place(place: str, role: Meaning) -> str:
    if role is Role.MODELS_BELOW:
        return f"every `model` below `{place.removesuffix('.**')}`"
    return f"`{place}`"


def _built_on(row: Operation) -> list[str]:
    kinds = [name for name in _PARAMETER.findall(row.route) if name not in _OF_NO_INTEREST]
    owner = ", owner only" if row.kind is Kind.MODELLESS else ""
    found = [f"{kind}: the path{owner}" for kind in kinds]
    for what, places in (("", row.reads), ("field ", row.form), ("query ", row.query)):
        found += _stored(what, places)
    return found


def _stored(what: str, places: Mapping[str, Meaning]) -> Iterable[str]:
    for place, role in places.items():
        if isinstance(role, Stored):
            yield f"{role.kind}: {what}`{place}`"
        elif isinstance(role, Owned):
            yield f"{role.kind}: {what}`{place}`, owner only"
        elif role is Role.ITEM:
            yield f"item: {what}`{place}` by reference"
        elif role is Role.FOREIGN:
            yield f"refused with {what}`{place}`"
        elif isinstance(role, AllowedValues):
            allowed = ", ".join(f"`{json.dumps(value)}`" for value in sorted(role.values, key=str))
            yield f"refused with {what}`{place}` other than {allowed}"


def _state(row: Operation) -> str:
    if row.never:
        return f"refused: {row.never}"
    if row.kind is Kind.MODELLESS:
        streamed = "; its body is not read" if row.body is Body.STREAMED else ""
        made = f"; makes {_article(row.creates)}" if row.creates else ""
        return f"modelless, closed{streamed}{made}"
    if row.shut:
        return f"closed: {row.shut}"
    asked = "tuning" if row.kind is Kind.TUNING else "authorised"
    if row.registered:
        asked += ", where registration is on"
    return asked + (f"; makes {_article(row.creates)}" if row.creates else "")


def _article(kind: str) -> str:
    return ("an " if kind[0] in "aeiou" else "a ") + kind.replace("_", " ")


def _not_here(published: Iterable[Published]) -> str:
    """What the provider publishes, can name a model, and is in no row."""
    rows = sorted(
        {
            f"{row.method} `{row.path.partition('?')[0]}`"
            for row in published
            if row.names_a_model and not _has_row(row)
        }
    )
    return "Published, able to name a model, and in no row, so refused: " + ", ".join(rows) + "."


def _has_row(row: Published) -> bool:
    request = fill(row, places=tuple(row.models)).request
    try:
        ROUTES[row.api].match(request.method, request.path)
    except AdmissibilityError:
        return False
    return True


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
