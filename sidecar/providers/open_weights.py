"""Lists the rows that servers of open weights share: OpenAI's API, and Anthropic's messages.

``model`` is the name of an adapter, or of its base model. Administration (loading an adapter under
an approved name, replacing weights) is refused: it would change which model an approved name runs.
"""

from __future__ import annotations

from dataclasses import replace

from sidecar.providers import openai
from sidecar.providers.anthropic_messages import messages
from sidecar.providers.json_paths import Meaning, Role
from sidecar.providers.operation import Operation, never, prefixed

MODEL: dict[str, Meaning] = {"model": Role.MODEL}

SCORED: dict[str, Meaning] = {**MODEL, "documents": Role.DATA}
"""Documents are given as texts or as objects, whose further keys are handed back."""

OWN_KEYS: dict[str, Meaning] = dict.fromkeys(
    ("guided_json", "structured_outputs", "documents", "chat_template_kwargs", "custom_params"),
    Role.DATA,
)
"""Keys of these servers beside OpenAI's: schemas, documents, values for a template."""

_OPENAI = tuple(
    replace(row, reads={**row.reads, **OWN_KEYS})
    for row in prefixed("/v1", (*openai.COMPLETIONS, openai.RESPONSES))
)

COMMON: tuple[Operation, ...] = (*_OPENAI, *prefixed("/v1", openai.MODELS), *messages(OWN_KEYS))

ADMINISTRATION = "it would change which model an approved name runs"
RAW = "it runs a model that the request does not name"


def refused(why: str, *routes: str) -> tuple[Operation, ...]:
    """Return a row per route that is always refused, for ``ADMINISTRATION`` or ``RAW``."""
    return tuple(
        never("administration" if why is ADMINISTRATION else "raw", "POST", route, why)
        for route in routes
    )
