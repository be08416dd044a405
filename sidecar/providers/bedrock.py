"""Describes AWS Bedrock: its runtime, OpenAI's and Anthropic's APIs, and customization jobs.

``modelId`` may be the id of a foundation model or an ARN. Some ARNs name a model; some name a
resource that can be pointed at another model (bound by evidence); routers choose models (refused).
SDKs escape the ARN's ``:`` and ``/``, so a name in the path may contain escaped slashes.
"""

from __future__ import annotations

import re

from sidecar.providers import error_shapes, openai
from sidecar.providers.anthropic_messages import STORED, messages
from sidecar.providers.json_paths import Meaning, Role
from sidecar.providers.operation import Body, Kind, Operation, answering, modelless, never, prefixed
from sidecar.providers.provider import AdaptedNames, NameKind, Provider
from sidecar.providers.stored_inputs import NO_INPUTS

_ARN = re.compile(r"arn:aws[a-z-]*:bedrock:[a-z0-9-]*:[0-9]*:([a-z-]+)/.+")
_FOUNDATION = re.compile(r"arn:[a-z*-]*:bedrock:[a-z0-9*-]*:[0-9*]*:foundation-model/(.+)")
_VERSIONED = re.compile(r"([^/*:]+)-v?[0-9]+:[0-9]+")
_VARIANT = re.compile(r"(?P<model>[^/:]+:[0-9]+)(?::[^/]+)?")
_MODELS = frozenset({"foundation-model", "custom-model", "imported-model"})
_DEPLOYMENTS = frozenset(
    {
        "custom-model-deployment",
        "provisioned-model",
        "inference-profile",
        "application-inference-profile",
    }
)

_PROFILE = re.compile(r"(?:[a-z]{2}|us-gov|apac|global)\.(?P<model>[^/]+)")
"""Id of a system-defined inference profile: an area, and the id of the model that it runs (Bedrock
User Guide, "Supported Regions and models for inference profiles")."""


def names(model: str) -> NameKind:
    """Return what an id or ARN names; an ARN of an unknown type is treated as a router.

    Ids of models have a dot behind their maker's name. Without one it is the id or the name of a
    resource, such as an application inference profile, which the API takes too.
    """
    if not model.startswith("arn:"):
        return NameKind.MODEL if "." in model else NameKind.DEPLOYMENT
    match = _ARN.fullmatch(model)
    if match is not None and match[1] in _MODELS:
        return NameKind.MODEL
    if match is not None and match[1] in _DEPLOYMENTS:
        return NameKind.DEPLOYMENT
    return NameKind.CHOOSER


def canonical(model: str) -> str:
    """Return a foundation model's id for its ARN: Bedrock takes either, in every operation.

    So it does for a pattern over ARNs, by which a model may be withdrawn in every region.
    """
    match = _FOUNDATION.fullmatch(model)
    return model if match is None else match[1]


def further(model: str) -> tuple[str, ...]:
    """Return the foundation model that runs where the id of a system-defined profile is called.

    What withdraws that model withdraws it under this name too, whatever pattern lists it.
    """
    match = _PROFILE.fullmatch(model)
    return () if match is None else (match["model"],)


def elsewhere(model: str) -> tuple[str, ...]:
    """Return the other ids of a model, and a pattern over those that are open.

    The Mantle endpoint leaves the version out. Jobs and provisioned throughput add the length of
    the context (``amazon.nova-lite-v1:0:300k``, Amazon Nova User Guide, "Customizing Amazon Nova
    models"), so that a tuned model's base has another id than the model that is called.
    """
    variant = _VARIANT.fullmatch(model)
    if variant is None:
        return ()
    one = variant["model"]
    versioned = _VERSIONED.fullmatch(one)
    short = () if versioned is None else (versioned[1],)
    return tuple(name for name in (one, f"{one}:*", *short) if name != model)


_TOOL_CONFIG: dict[str, Meaning] = {
    "toolConfig.tools[].toolSpec": Role.FUNCTION,
    "toolConfig.tools[].toolSpec.inputSchema": Role.DATA,
    "toolConfig.tools[].systemTool.name": Role.TOOL_TYPE,
}
"""A system tool is one of the model's own, such as ``nova_grounding``, which searches the web."""

_CONVERSE: dict[str, Meaning] = {
    "messages[].content[].toolUse.input": Role.DATA,
    "messages[].content[].toolResult.content[].json": Role.DATA,
    **_TOOL_CONFIG,
    "additionalModelRequestFields": Role.BODY,
    "additionalModelRequestFields.tools[]": Role.UNTYPED_TOOL,
    "additionalModelRequestFields.tools[].type": Role.TOOL_TYPE,
    "additionalModelRequestFields.tools[].input_schema": Role.DATA,
    "additionalModelRequestFields.tools[].input_examples": Role.DATA,
    "additionalModelRequestFields.output_config.format": Role.DATA,
    "additionalModelRequestFields.documents": Role.DATA,
    "additionalModelRequestFields.tool_results": Role.DATA,
    **{f"additionalModelRequestFields.{place}": role for place, role in STORED.items()},
    "additionalModelResponseFieldPaths": Role.WORD,
    "requestMetadata": Role.DATA,
    "promptVariables": Role.FOREIGN,
}

_NATIVE: dict[str, Meaning] = {
    **STORED,
    "model": Role.MODEL,
    "messages[].content[].input": Role.DATA,
    "tools[]": Role.UNTYPED_TOOL,
    "tools[].type": Role.TOOL_TYPE,
    "tools[].input_schema": Role.DATA,
    "tools[].input_examples": Role.DATA,
    "tools[].function.parameters": Role.DATA,
    "tools[].parameter_definitions": Role.DATA,
    "response_format": Role.DATA,
    "output_config.format": Role.DATA,
    "output_format": Role.DATA,
    "documents": Role.DATA,
    "tool_results": Role.DATA,
    "api_version": Role.WORD,
    **_TOOL_CONFIG,
}
"""A body in the model's own format. Where it has ``model``, that must equal the path's.

``api_version`` is that of the body, which Cohere's rerankers require; elsewhere it is a gateway's.
"""

_TEXTS = frozenset({"messages[].content", "messages[].content[].toolResult.content"})
_RUNTIME = "/model/{model}"

RUNTIME: tuple[Operation, ...] = (
    Operation("converse", "POST", f"{_RUNTIME}/converse", _CONVERSE),
    Operation("converse", "POST", f"{_RUNTIME}/converse-stream", _CONVERSE, streams=True),
    Operation("invoke", "POST", f"{_RUNTIME}/invoke", _NATIVE, texts=_TEXTS, untyped=True),
    Operation(
        "invoke",
        "POST",
        f"{_RUNTIME}/invoke-with-response-stream",
        _NATIVE,
        texts=_TEXTS,
        untyped=True,
        streams=True,
    ),
    never(
        "invoke.bidirectional",
        "POST",
        f"{_RUNTIME}/invoke-with-bidirectional-stream",
        "what is streamed up is not read",
    ),
    Operation("count_tokens", "POST", f"{_RUNTIME}/count-tokens", {"input": Role.DATA}),
    Operation(
        "invoke.async",
        "POST",
        "/async-invoke",
        {"modelId": Role.MODEL, "modelInput": Role.BODY, "tags[]": Role.DATA},
        creates="async_invocation",
        named_at="invocationArn",
    ),
    modelless("invoke.async.retrieve", "GET", "/async-invoke/{async_invocation}"),
    modelless("invoke.async.list", "GET", "/async-invoke", "maxResults", "nextToken"),
    modelless("guardrails.apply", "POST", "/guardrail/{id}/version/{id}/apply", body=Body.UNREAD),
)

_JOB = "/model-customization-jobs/{fine_tuning_job}"
_AUXILIARY = "it makes something that runs or names models later"

CONTROL: tuple[Operation, ...] = (
    Operation(
        "fine_tuning.jobs.create",
        "POST",
        "/model-customization-jobs",
        {
            "baseModelIdentifier": Role.TUNED,
            "jobTags[]": Role.DATA,
            "customModelName": Role.WORD,
            "customModelKmsKeyId": Role.WORD,
            "customModelTags[]": Role.DATA,
            "hyperParameters": Role.DATA,
            "trainingDataConfig.invocationLogsConfig.requestMetadataFilters": Role.DATA,
            "customizationConfig.distillationConfig.teacherModelConfig"
            ".teacherModelIdentifier": Role.MODEL,
        },
        kind=Kind.TUNING,
        creates="fine_tuning_job",
        named_at="jobArn",
    ),
    modelless(
        "fine_tuning.jobs.list", "GET", "/model-customization-jobs", "maxResults", "nextToken"
    ),
    modelless("fine_tuning.jobs.retrieve", "GET", _JOB),
    modelless("fine_tuning.jobs.cancel", "POST", f"{_JOB}/stop", body=Body.UNREAD),
    modelless(
        "models.list",
        "GET",
        "/foundation-models",
        "byProvider",
        "byCustomizationType",
        "byOutputModality",
        "byInferenceType",
    ),
    never("model_invocation_jobs.create", "POST", "/model-invocation-job", _AUXILIARY),
    never("provisioned_throughput.create", "POST", "/provisioned-model-throughput", _AUXILIARY),
    never("inference_profiles.create", "POST", "/inference-profiles", _AUXILIARY),
    never(
        "custom_model_deployments.create",
        "POST",
        "/model-customization/custom-model-deployments",
        _AUXILIARY,
    ),
    never("evaluation_jobs.create", "POST", "/evaluation-jobs", _AUXILIARY),
)

MESSAGES = prefixed("/anthropic", messages({}))
"""Anthropic's API at the Mantle endpoint."""

COMPATIBLE = answering(error_shapes.OPENAI, (*openai.COMPLETIONS, openai.RESPONSES, *openai.MODELS))

PROVIDER = Provider(
    "bedrock",
    "AWS Bedrock",
    (
        *RUNTIME,
        *CONTROL,
        *prefixed("/openai/v1", COMPATIBLE),
        *prefixed("/v1", COMPATIBLE),
        *MESSAGES,
    ),
    hosts=(
        "bedrock-runtime.*.amazonaws.com",
        "bedrock-runtime-fips.*.amazonaws.com",
        "bedrock-runtime.*.amazonaws.com.cn",
        "bedrock.*.amazonaws.com",
        "bedrock-mantle.*.api.aws",
        "bedrock-mantle.*.amazonaws.com",
        "*.bedrock-runtime.*.vpce.amazonaws.com",
    ),
    adapted=AdaptedNames(
        r"arn:[^/]*:(?:custom-model|imported-model)/.*",
        "Service Authorization Reference: resources custom-model and imported-model",
    ),
    names=names,
    configurations=("bedrock",),
    documentation=(
        "`modelId` in the path, or `model` in the body of OpenAI's or Anthropic's API, is the id "
        "of a foundation model or an ARN; a foundation model's ARN counts as its id. The id of an "
        "area's inference profile (`eu.…`, `global.…`) names the profile and the foundation model "
        "that it runs: both must be listed, and a withdrawal of either counts. An id with the "
        "length of a context (`…:0:300k`), by which jobs name a base, is withdrawn with the model. "
        "ARNs of custom and imported models are the model itself; deployments, provisioned "
        "throughput, ARNs of "
        "inference profiles and ids without a dot are bound by evidence; prompts and prompt "
        "routers choose models by themselves and are refused. Routes set `provider: bedrock`."
    ),
    errors=error_shapes.BEDROCK,
    inputs=NO_INPUTS,
    canonical=canonical,
    further=further,
    elsewhere=elsewhere,
    slashes=True,
)
