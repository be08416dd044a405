"""Describes Azure OpenAI, where every name of a model is that of a deployment.

Three forms: the deployment in the path, with a dated ``api-version`` in the query; ``/openai/v1``
with the deployment in the body as ``model``; and so ``/anthropic``. A deployment can be pointed at
another model without a change of its name, so a deployment binding states which model it runs.
"""

from __future__ import annotations

from sidecar.providers import error_shapes, openai
from sidecar.providers.anthropic_messages import messages
from sidecar.providers.json_paths import Role
from sidecar.providers.openai_media import AUDIO, IMAGES
from sidecar.providers.openai_objects import BATCHES, FILES, INPUTS
from sidecar.providers.operation import Operation, never, prefixed
from sidecar.providers.provider import (
    AdaptedNames,
    Provider,
    always_a_deployment,
    as_written,
    no_further,
)

_DEPLOYMENT = "/openai/deployments/{deployment}"
_VERSION = "api-version"

_RESPONSES = (openai.RESPONSES, *openai.STORED_RESPONSES)
_TUNING = (openai.TUNING, *openai.TUNING_READS)
_CARRIED = (*FILES, *BATCHES)
_MODELS_LIST = tuple(row for row in openai.MODELS if row.name == "models.list")

_V1 = (
    *openai.COMPLETIONS,
    *_RESPONSES,
    *AUDIO,
    *IMAGES,
    *_TUNING,
    *_CARRIED,
    *_MODELS_LIST,
    *openai.REALTIME,
)

_DATED = (
    *prefixed(_DEPLOYMENT, (*openai.COMPLETIONS, *AUDIO, *IMAGES), _VERSION),
    *prefixed("/openai", (*_RESPONSES, *_TUNING, *_CARRIED, *_MODELS_LIST), _VERSION),
    Operation(
        "realtime.connect",
        "GET",
        "/openai/realtime",
        query={"deployment": Role.MODEL, _VERSION: Role.VERSION},
        upgrade=True,
        streams=True,
        shut="frames of the session are not read; one may name a transcription model",
    ),
    never(
        "extensions.chat.completions",
        "POST",
        f"{_DEPLOYMENT}/extensions/chat/completions",
        "the deployment's extensions choose further models",
    ),
)

_CLAUDE = prefixed("/anthropic", messages({}))
"""Anthropic's API before deployments of its models, with the deployment as ``model``."""

_LINES = (("/v1/", "/openai/v1/"), ("/", "/openai/v1/"))
"""Lines of batch files leave the resource's prefix out, older ones the version as well."""

PROVIDER = Provider(
    "azure",
    "Azure OpenAI",
    (*_DATED, *prefixed("/openai/v1", _V1, _VERSION), *_CLAUDE),
    hosts=(
        "*.openai.azure.com",
        "*.openai.azure.us",
        "*.services.ai.azure.com",
        "*.cognitiveservices.azure.com",
    ),
    adapted=AdaptedNames(
        r".*\.ft-[0-9a-f]{8,}.*|[a-z0-9.-]+:ft-.*|ft:.*",
        "Azure OpenAI fine-tuning guide: <base>.ft-<hex>, with a checkpoint after a colon",
    ),
    names=always_a_deployment,
    configurations=("azure",),
    documentation=(
        "Every name is that of a deployment, in the path or as `model` in the body. A "
        "deployment can be pointed at another model without its name changing, so a "
        "deployment binding states which model it runs. A body's `model` beside another "
        "deployment in the path is refused, or ignored as Azure ignores it with "
        "`azure_body_model: ignore`. Routes set `provider: azure`."
    ),
    errors=error_shapes.AZURE,
    lines=_LINES,
    inputs=INPUTS,
    canonical=as_written,
    further=no_further,
    elsewhere=no_further,
)
