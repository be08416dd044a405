"""Describes Google Vertex AI: Gemini and its tuned models in Google's and OpenAI's API, and Claude.

A base model of Google's is ``publishers/google/models/…`` in the path, ``google/…`` as ``model`` in
the OpenAI-compatible body, and its id alone as ``baseModel`` of a tuning job. Models of other
publishers, which Google serves too, are called by that body alone (``meta/…``). A tuned model is
called through an endpoint, whose resource name is in the path. An endpoint can be given another
model without its name changing, so it is bound like a deployment (Vertex AI REST reference, v1 and
v1beta1: projects.locations.publishers.models, projects.locations.endpoints,
projects.locations.tuningJobs). A model of Anthropic's is ``publishers/anthropic/models/…`` in the
path, before a body of its own API that leaves ``model`` out, as Anthropic's SDK sends it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

from sidecar.providers import error_shapes, openai
from sidecar.providers.anthropic_messages import BODY, TEXTS
from sidecar.providers.json_paths import Meaning, Role
from sidecar.providers.operation import Body, Kind, Operation, modelless, never
from sidecar.providers.provider import AdaptedNames, NameKind, Provider, no_further
from sidecar.providers.stored_inputs import NO_INPUTS

_ENDPOINT = re.compile(r"projects/[^/]+/locations/[^/]+/endpoints/[^/]+")
_PUBLISHED = "publishers/google/models/"
_BASE = re.compile(r"publishers/[a-z0-9-]+/models/[^/]+")
_ID = re.compile(r"(?:(?P<publisher>[a-z0-9-]+)/)?(?P<id>(?!\*\*)[^/]+)")
_MAKE = "claude"
"""How ids of Anthropic's models begin, and none of Google's."""


def names(model: str) -> NameKind:
    """Return what a name denotes; any but a base model or endpoint is treated as a router."""
    if _BASE.fullmatch(model):
        return NameKind.MODEL
    return NameKind.DEPLOYMENT if _ENDPOINT.fullmatch(model) else NameKind.CHOOSER


def canonical(model: str) -> str:
    """Return ``publishers/…/models/ID`` for every name of a model that is not a project's.

    So it does for a pattern over their ids; ``**`` covers endpoints too, and stays.
    """
    match = _ID.fullmatch(model)
    if match is None:
        return model
    publisher = match["publisher"] or ("anthropic" if match["id"].startswith(_MAKE) else "google")
    return f"publishers/{publisher}/models/{match['id']}"


def elsewhere(model: str) -> tuple[str, ...]:
    """Return the pattern over the models of all publishers for one over ids alone."""
    found = model.removeprefix(_PUBLISHED)
    if found == model or "*" not in found:
        return ()
    return (f"publishers/*/models/{found}",)


def _spelled(places: dict[str, Meaning]) -> dict[str, Meaning]:
    """Add every place in snake_case: JSON of protobuf messages may have either spelling.

    ProtoJSON: parsers accept both the lowerCamelCase name and the original field name.
    """
    found: dict[str, Meaning] = {}
    for place, role in places.items():
        parts = [dict.fromkeys((part, _CAMEL.sub(_lower, part))) for part in place.split(".")]
        found.update((".".join(spelling), role) for spelling in product(*parts))
    return found


def _lower(match: re.Match[str]) -> str:
    return f"_{match[0].lower()}"


_RANKING = "tools[].retrieval.vertexRagStore.ragRetrievalConfig.ranking"
_CAMEL = re.compile(r"[A-Z]")
_CONTENT: dict[str, Meaning] = _spelled(
    {
        "contents[].parts[].functionCall.args": Role.DATA,
        "contents[].parts[].functionResponse.response": Role.DATA,
        "contents[].parts[].toolCall.args": Role.DATA,
        "contents[].parts[].toolResponse.response": Role.DATA,
        "contents[].parts[].partMetadata": Role.DATA,
        "tools[]": Role.KEYED_TOOL,
        "tools[].functionDeclarations[].parameters": Role.DATA,
        "tools[].functionDeclarations[].parametersJsonSchema": Role.DATA,
        "tools[].functionDeclarations[].response": Role.DATA,
        "tools[].functionDeclarations[].responseJsonSchema": Role.DATA,
        f"{_RANKING}.llmRanker.modelName": Role.MODEL,
        f"{_RANKING}.rankService": Role.FOREIGN,
        "generationConfig.responseModalities[]": Role.MODALITY,
        "generationConfig.responseSchema": Role.DATA,
        "generationConfig.responseJsonSchema": Role.DATA,
        "generationConfig.routingConfig": Role.FOREIGN,
        "generationConfig.modelConfig": Role.FOREIGN,
        "modelArmorConfig": Role.DATA,
        "labels": Role.DATA,
        "cachedContent": Role.FOREIGN,
    }
)
"""With ``routingConfig`` or ``modelConfig`` the service chooses; cached content names a model."""

_COUNTED: dict[str, Meaning] = {"instances[]": Role.DATA, "parameters": Role.DATA}
_COMPUTED: dict[str, Meaning] = {"contents[]": Role.DATA, "instances[]": Role.DATA}
_PREDICT: dict[str, Meaning] = {"labels": Role.DATA}
"""Instances have the model's own form. Servers of open weights behind an endpoint let one of them
choose an adapter (``adapter_id``, Text Generation Inference) or a served name (``model``, vLLM)."""

_SSE: dict[str, Meaning] = {"alt": Role.WORD}
_HOME = "projects/{id}/locations/{id}"
_BASE_ROUTE = f"{_HOME}/{{model=publishers/google/models/*}}"
_TUNED_ROUTE = "{model=projects/*/locations/*/endpoints/*}"


def _calls(route: str) -> tuple[Operation, ...]:
    """Return the rows that run the model or endpoint at ``route``."""
    return (
        Operation("generate_content", "POST", f"{route}:generateContent", _CONTENT),
        Operation(
            "generate_content",
            "POST",
            f"{route}:streamGenerateContent",
            _CONTENT,
            query=_SSE,
            streams=True,
        ),
        Operation("count_tokens", "POST", f"{route}:countTokens", {**_CONTENT, **_COUNTED}),
        Operation("count_tokens", "POST", f"{route}:computeTokens", _COMPUTED),
        Operation("embeddings", "POST", f"{route}:embedContent", {"content": Role.DATA}),
        Operation("predict", "POST", f"{route}:predict", _PREDICT, closed=True),
        *(
            never("predict.raw", "POST", f"{route}:{verb}", "the body has the model's own form")
            for verb in ("rawPredict", "streamRawPredict", "directPredict", "directRawPredict")
        ),
    )


_SPECS = ("supervisedTuningSpec", "preferenceOptimizationSpec", "distillationSpec")
_REINFORCED = "reinforcementTuningSpec"
_JUDGES = (
    *(f"{spec}.evaluationConfig.autoraterConfig" for spec in _SPECS),
    f"{_REINFORCED}.singleRewardConfig.autoraterScorer",
    f"{_REINFORCED}.compositeRewardConfig.weightedRewardConfigs[].rewardConfig.autoraterScorer",
)


def _alike(places: dict[str, Meaning]) -> dict[str, Meaning]:
    """Add every place in snake_case alone; where a path mixes both, its key is refused."""
    return places | {_CAMEL.sub(_lower, place): role for place, role in places.items()}


def _judge(place: str) -> dict[str, Meaning]:
    inside = f"{place}.autoraterConfig" if place.endswith("Scorer") else place
    return {
        place: Role.JUDGE,
        f"{place}.autoraterPrompt": Role.WORD,
        f"{place}.autoraterResponseParseConfig": Role.WORD,
        f"{inside}.autoraterModel": Role.MODEL,
        f"{inside}.generationConfig.responseSchema": Role.DATA,
        f"{inside}.generationConfig.responseJsonSchema": Role.DATA,
    }


_TUNED_BY: dict[str, Meaning] = _alike(
    {
        **{f"{spec}.hyperParameters.adapterSize": Role.WORD for spec in (*_SPECS, _REINFORCED)},
        **{name: role for place in _JUDGES for name, role in _judge(place).items()},
    }
)
"""The size of the adapter that is made, and the models that score answers while it is tuned."""

_TUNING: dict[str, Meaning] = (
    _spelled(
        {
            "baseModel": Role.TUNED,
            "preTunedModel.tunedModelName": Role.TUNED,
            "distillationSpec.baseTeacherModel": Role.MODEL,
            "distillationSpec.tunedTeacherModelSource": Role.MODEL,
            "tunedModelDisplayName": Role.WORD,
            "labels": Role.DATA,
        }
    )
    | _TUNED_BY
)
_LATER = "it makes something that runs or names models later"

_JOB = f"{_HOME}/tuningJobs/{{fine_tuning_job}}"

_JOBS: tuple[Operation, ...] = (
    Operation(
        "fine_tuning.jobs.create",
        "POST",
        f"{_HOME}/tuningJobs",
        _TUNING,
        kind=Kind.TUNING,
        creates="fine_tuning_job",
        named_at="name",
    ),
    modelless("fine_tuning.jobs.list", "GET", f"{_HOME}/tuningJobs", "pageSize", "pageToken"),
    modelless("fine_tuning.jobs.retrieve", "GET", _JOB),
    modelless("fine_tuning.jobs.cancel", "POST", f"{_JOB}:cancel", body=Body.UNREAD),
    *(
        never(f"{kind}.create", "POST", f"{_HOME}/{kind}", _LATER)
        for kind in ("batchPredictionJobs", "cachedContents", "reasoningEngines", "endpoints")
    ),
    never("endpoints.deploy", "POST", f"{_HOME}/endpoints/{{id}}:deployModel", "administration"),
)

_GOOGLES: dict[str, Meaning] = _spelled(
    {
        "extra_body.google.cachedContent": Role.FOREIGN,
        "google.cachedContent": Role.FOREIGN,
    }
)
"""Options of Gemini in OpenAI's form, such as ``thinking_config``, are below a key of their own."""

_COMPATIBLE = tuple(
    replace(
        row,
        route=f"{_HOME}/endpoints/openapi{row.route}",
        reads={**row.reads, **_GOOGLES},
        errors=error_shapes.OPENAI,
    )
    for row in openai.COMPLETIONS
    if row.name in {"chat.completions", "embeddings"}
)

_CLAUDE = tuple(
    Operation(
        "messages",
        "POST",
        f"{_HOME}/{{model=publishers/anthropic/models/*}}:{verb}",
        BODY,
        texts=TEXTS,
        streams=verb == "streamRawPredict",
        errors=error_shapes.ANTHROPIC,
    )
    for verb in ("rawPredict", "streamRawPredict")
)
"""Counting tokens has a name in place of the model's, and the model in the body: it is refused."""

_ROWS = (*_calls(_BASE_ROUTE), *_calls(_TUNED_ROUTE), *_JOBS, *_COMPATIBLE, *_CLAUDE)

PROVIDER = Provider(
    "vertex",
    "Google Vertex AI",
    tuple(
        replace(row, route=f"/{version}/{row.route}")
        for version in ("v1", "v1beta1")
        for row in _ROWS
    ),
    hosts=(
        "aiplatform.googleapis.com",
        "*-aiplatform.googleapis.com",
        "aiplatform.*.rep.googleapis.com",
    ),
    adapted=AdaptedNames(
        r"projects/.*",
        "Vertex AI REST reference: what a project tunes or deploys is a resource of the project",
    ),
    names=names,
    configurations=("vertex",),
    documentation=(
        "A base model is `publishers/google/models/…`, under every name that the API takes for it:"
        " `google/…` in the OpenAI-compatible body, and its id alone in a tuning job. A model of"
        " Anthropic's is `publishers/anthropic/models/…`, in the path; one of another publisher's,"
        " such as `meta/…` in the OpenAI-compatible body, is `publishers/meta/models/…`. A tuned"
        " model is called through its endpoint, named by `projects/…/locations/…/endpoints/…` in"
        " the path; an endpoint can be given another model, so a deployment binding states which"
        " model it runs. Routing configurations and cached content are refused: they choose or name"
        " a model elsewhere. Routes set `provider: vertex`."
    ),
    errors=error_shapes.GOOGLE,
    inputs=NO_INPUTS,
    canonical=canonical,
    further=no_further,
    elsewhere=elsewhere,
)
