"""Describes OpenAI: REST, multipart, files, batches, fine-tuning, realtime (August 2026).

Rows follow the provider's published description of its API. A test builds requests from a reduced
copy of that description and compares every operation with this table.
"""

from __future__ import annotations

from sidecar.providers import error_shapes
from sidecar.providers.json_paths import Meaning, Role, Stored
from sidecar.providers.openai_agents import AGENTS, NO_SUBAGENTS
from sidecar.providers.openai_media import AUDIO, IMAGES
from sidecar.providers.openai_objects import (
    BATCHES,
    CONTAINERS,
    FILES,
    INPUTS,
    VECTOR_STORES,
    VIDEOS,
)
from sidecar.providers.operation import Body, Kind, Operation, modelless, never, prefixed
from sidecar.providers.provider import (
    AdaptedNames,
    Provider,
    always_a_model,
    as_written,
    no_further,
)

_TOOLS: dict[str, Meaning] = {
    "tools[]": Role.TOOL,
    "tools[].type": Role.TOOL_TYPE,
    "tools[].model": Role.MODEL,
    "tools[].svg.model": Role.MODEL,
    "tools[].parameters": Role.DATA,
    "tools[].output_schema": Role.DATA,
    "tools[].function.parameters": Role.DATA,
    "tools[].headers": Role.DATA,
    "tools[].tools[]": Role.TOOL,
    "tools[].tools[].type": Role.TOOL_TYPE,
    "tools[].tools[].parameters": Role.DATA,
    "tools[].tools[].output_schema": Role.DATA,
}
"""A namespace is a tool with tools of its own; headers are for the server of an MCP tool."""

_CHOICE: dict[str, Meaning] = {"tool_choice": Role.DATA}
"""Selects among the offered tools, and may repeat their descriptions."""

_INPUT: dict[str, Meaning] = {
    "input[]": Role.ITEM,
    **{f"input[].{place}": role for place, role in _TOOLS.items()},
    "input[].tools[]": Role.UNTYPED_TOOL,
    "input[].tools[].input_schema": Role.DATA,
    "input[].tools[].annotations": Role.DATA,
    "input[].action": Role.DATA,
    "input[].arguments": Role.DATA,
    "input[].error": Role.DATA,
    "input[].results": Role.DATA,
    "input[].text": Role.DATA,
    "input[].svg_usage.model": Role.MODEL,
    "metadata": Role.DATA,
}
"""An item may come from an earlier response: a tool call, its result, a server's list of tools.
The paths marked ``DATA`` hold its own data; no operation runs a model that they name."""

COMPLETIONS: tuple[Operation, ...] = (
    Operation(
        "chat.completions",
        "POST",
        "/chat/completions",
        {
            "model": Role.MODEL,
            "moderation.model": Role.MODEL,
            "stream": Role.STREAM,
            "modalities[]": Role.MODALITY,
            "audio.voice.id": Role.FOREIGN,
            "web_search_options": Role.OFFERS_TOOL,
            **_TOOLS,
            **_CHOICE,
            "functions[]": Role.FUNCTION,
            "functions[].parameters": Role.DATA,
            "response_format": Role.DATA,
            "metadata": Role.DATA,
        },
        texts=frozenset({"audio.voice"}),
    ),
    Operation("completions", "POST", "/completions", {"model": Role.MODEL, "stream": Role.STREAM}),
    Operation("embeddings", "POST", "/embeddings", {"model": Role.MODEL}),
)
"""Rows of every OpenAI-compatible server."""

_BETA: dict[str, Meaning] = {"beta": Role.WORD}
"""``?beta=true``: the same operation and the same paths, with more in the response."""

ITEMS = {"output[].id": "item", "output[].container_id": "container"}
"""Items of a response's output, to which an SDK refers by id in the next turn, and the containers
in which its tools ran."""

RESPONSES = Operation(
    "responses",
    "POST",
    "/responses",
    {
        "model": Role.MODEL,
        "moderation.model": Role.MODEL,
        "stream": Role.STREAM,
        "modalities[]": Role.MODALITY,
        **_TOOLS,
        **_CHOICE,
        **_INPUT,
        "multi_agent.enabled": NO_SUBAGENTS,
        "text.format.schema": Role.DATA,
        "prompt": Role.FOREIGN,
        "previous_response_id": Stored("response"),
        "conversation": Stored("conversation"),
        "prompt_cache_options.comparison_response_id": Stored("response"),
    },
    query=_BETA,
    texts=frozenset({"input"}),
    creates="response",
    also=ITEMS,
    updates=frozenset({"conversation"}),
)

_GRADERS: dict[str, Meaning] = {
    "grader.model": Role.MODEL,
    "grader.**": Role.MODELS_BELOW,
    "model_sample": Role.DATA,
    "item": Role.DATA,
}

TUNING = Operation(
    "fine_tuning.jobs.create",
    "POST",
    "/fine_tuning/jobs",
    {
        "model": Role.TUNED,
        "method.reinforcement.grader.**": Role.MODELS_BELOW,
        "method.reinforcement.response_format": Role.DATA,
        "metadata": Role.DATA,
        "metadata.admissibility_specification": Role.SPECIFICATION,
        "integrations[]": Role.DATA,
    },
    kind=Kind.TUNING,
    creates="fine_tuning_job",
)

_JOB = "/fine_tuning/jobs/{fine_tuning_job}"
_SHARED = "/fine_tuning/checkpoints/{model}/permissions"

TUNING_READS: tuple[Operation, ...] = (
    modelless("fine_tuning.jobs.list", "GET", "/fine_tuning/jobs", "after", "limit"),
    modelless("fine_tuning.jobs.retrieve", "GET", _JOB, also={"result_files[]": "file"}),
    modelless("fine_tuning.jobs.cancel", "POST", f"{_JOB}/cancel", body=Body.UNREAD),
    modelless("fine_tuning.jobs.events", "GET", f"{_JOB}/events", "after", "limit"),
    modelless("fine_tuning.jobs.checkpoints", "GET", f"{_JOB}/checkpoints", "after", "limit"),
)

_FINE_TUNING: tuple[Operation, ...] = (
    TUNING,
    *TUNING_READS,
    modelless("fine_tuning.jobs.pause", "POST", f"{_JOB}/pause", body=Body.UNREAD),
    never(
        "fine_tuning.jobs.resume",
        "POST",
        f"{_JOB}/resume",
        "it goes on tuning a model that the request does not name; create a new job",
    ),
    Operation(
        "fine_tuning.checkpoints.permissions.list",
        "GET",
        _SHARED,
        query=dict.fromkeys(("project_id", "after", "limit", "order"), Role.WORD),
    ),
    Operation("fine_tuning.checkpoints.permissions.create", "POST", _SHARED, body=Body.UNREAD),
    Operation("fine_tuning.checkpoints.permissions.delete", "DELETE", f"{_SHARED}/{{id}}"),
    Operation("graders.run", "POST", "/fine_tuning/alpha/graders/run", _GRADERS),
    Operation("graders.validate", "POST", "/fine_tuning/alpha/graders/validate", _GRADERS),
)

STORED_RESPONSES: tuple[Operation, ...] = (
    Operation(
        "responses.input_tokens",
        "POST",
        "/responses/input_tokens",
        {
            "model": Role.MODEL,
            **_TOOLS,
            **_CHOICE,
            **_INPUT,
            "text.format.schema": Role.DATA,
            "previous_response_id": Stored("response"),
            "conversation": Stored("conversation"),
        },
        query=_BETA,
        texts=frozenset({"input"}),
    ),
    Operation(
        "responses.compact",
        "POST",
        "/responses/compact",
        {"model": Role.MODEL, **_INPUT, "previous_response_id": Stored("response")},
        query=_BETA,
        texts=frozenset({"input"}),
        creates="response",
        also=ITEMS,
    ),
    never("responses.websocket", "GET", "/responses", "its frames name models, unseen by the gate"),
    modelless(
        "responses.retrieve",
        "GET",
        "/responses/{response}",
        *("include", "include[]", "stream", "starting_after", "include_obfuscation", "beta"),
        also=ITEMS,
        fetches=True,
    ),
    modelless("responses.delete", "DELETE", "/responses/{response}", "beta"),
    modelless("responses.cancel", "POST", "/responses/{response}/cancel", "beta", body=Body.UNREAD),
    modelless(
        "responses.input_items",
        "GET",
        "/responses/{response}/input_items",
        "after",
        "limit",
        "order",
        "beta",
    ),
)

_TALK = "/conversations/{conversation}/items"

_STORED: tuple[Operation, ...] = (
    Operation(
        "conversations.create",
        "POST",
        "/conversations",
        {"items[]": Role.ITEM, "items[].tools": Role.FOREIGN, "metadata": Role.DATA},
        kind=Kind.MODELLESS,
        creates="conversation",
        shut="it names no model, so only the environment could be asked about",
    ),
    never(
        "conversations.items.create",
        "POST",
        _TALK,
        "what is put into it may name models for calls that come later",
    ),
    modelless("conversations.retrieve", "GET", "/conversations/{conversation}"),
    modelless("conversations.update", "POST", "/conversations/{conversation}", body=Body.UNREAD),
    modelless("conversations.delete", "DELETE", "/conversations/{conversation}"),
    modelless("conversations.items.list", "GET", _TALK, "after", "limit", fetches=True),
    modelless("conversations.items.retrieve", "GET", f"{_TALK}/{{id}}", fetches=True),
    modelless("conversations.items.delete", "DELETE", f"{_TALK}/{{id}}"),
    modelless("chat.completions.list", "GET", "/chat/completions", "after", "limit", "order"),
    modelless("chat.completions.retrieve", "GET", "/chat/completions/{chat_completion}"),
    modelless(
        "chat.completions.update", "POST", "/chat/completions/{chat_completion}", body=Body.UNREAD
    ),
    modelless("chat.completions.delete", "DELETE", "/chat/completions/{chat_completion}"),
    modelless(
        "chat.completions.messages",
        "GET",
        "/chat/completions/{chat_completion}/messages",
        "after",
        "limit",
    ),
)

MODELS: tuple[Operation, ...] = (
    Operation("models.retrieve", "GET", "/models/{model}"),
    modelless("models.list", "GET", "/models"),
)

_MEDIA = "the media and frames that follow go around the gate, and may name other models"
_SECRET = "the secret that it answers is used around the gate"  # noqa: S105 - a sentence

REALTIME: tuple[Operation, ...] = (
    Operation(
        "realtime.connect",
        "GET",
        "/realtime",
        query={"model": Role.MODEL, "call_id": Role.FOREIGN},
        upgrade=True,
        streams=True,
        shut="frames of the session are not read; one may name a transcription model",
    ),
    never("realtime.client_secrets", "POST", "/realtime/client_secrets", _SECRET),
    never(
        "realtime.translations.client_secrets",
        "POST",
        "/realtime/translations/client_secrets",
        _SECRET,
    ),
    never("realtime.sessions", "POST", "/realtime/sessions", _SECRET),
    never("realtime.transcription_sessions", "POST", "/realtime/transcription_sessions", _SECRET),
    never("realtime.calls", "POST", "/realtime/calls", _MEDIA),
    never("realtime.calls.accept", "POST", "/realtime/calls/{id}/accept", _MEDIA),
    never("realtime.calls.refer", "POST", "/realtime/calls/{id}/refer", _MEDIA),
    modelless("realtime.calls.hangup", "POST", "/realtime/calls/{id}/hangup", body=Body.UNREAD),
    modelless("realtime.calls.reject", "POST", "/realtime/calls/{id}/reject", body=Body.UNREAD),
    never("live.sessions", "POST", "/live/sessions", _MEDIA),
    never("live.sessions.accept", "POST", "/live/sessions/{id}/accept", _MEDIA),
    never("live.sessions.fork", "POST", "/live/sessions/{id}/fork", _MEDIA),
)

_ENDED = "the provider has ended it, or announced to"

_REFUSED: tuple[Operation, ...] = (
    never("chatkit.sessions.create", "POST", "/chatkit/sessions", "its workflow chooses models"),
    never("evals.create", "POST", "/evals", _ENDED),
    never("evals.update", "POST", "/evals/{id}", _ENDED),
    never("evals.runs.create", "POST", "/evals/{id}/runs", _ENDED),
    never("assistants.create", "POST", "/assistants", _ENDED),
    never("assistants.update", "POST", "/assistants/{id}", _ENDED),
    never("threads.create", "POST", "/threads", _ENDED),
    never("threads.runs.create_with_thread", "POST", "/threads/runs", _ENDED),
    never("threads.runs.create", "POST", "/threads/{id}/runs", _ENDED),
    never(
        "models.delete",
        "DELETE",
        "/models/{model}",
        "deleting a model is administration; withdraw its manifest",
    ),
)

OPERATIONS: tuple[Operation, ...] = (
    *COMPLETIONS,
    RESPONSES,
    Operation("moderations", "POST", "/moderations", {"model": Role.MODEL}),
    Operation("decisions", "POST", "/decisions", {"model": Role.MODEL}),
    *AUDIO,
    *IMAGES,
    *VIDEOS,
    *STORED_RESPONSES,
    *_STORED,
    *_FINE_TUNING,
    *FILES,
    *BATCHES,
    *MODELS,
    *REALTIME,
    *VECTOR_STORES,
    *CONTAINERS,
    *AGENTS,
    *_REFUSED,
)
"""Routes below the version."""

PROVIDER = Provider(
    "openai",
    "OpenAI",
    prefixed("/v1", OPERATIONS),
    hosts=("api.openai.com", "*.api.openai.com"),
    adapted=AdaptedNames(
        r"ft:.*|[a-z0-9.-]+:ft-.*",
        "Fine-tuning guide: ids begin with ft:; before August 2023 base:ft-organisation",
    ),
    names=always_a_model,
    configurations=("jwt", "mtls", "xfcc-gate", "egress", "registration"),
    documentation=(
        "`model` is the id of a base model or of an adapted one (`ft:…`); it is the model "
        "itself, and needs no binding. Routes to `api.openai.com` set `provider: openai`."
    ),
    errors=error_shapes.OPENAI,
    inputs=INPUTS,
    canonical=as_written,
    further=no_further,
    elsewhere=no_further,
)
