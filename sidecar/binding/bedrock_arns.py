"""Parses ARNs of Amazon Bedrock, and names the models in them as calls do. Pure.

Service Authorization Reference, "Actions, resources, and condition keys for Amazon Bedrock".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sidecar.binding.errors import BindingError

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):bedrock:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12})?:"
    r"(?P<kind>[a-z-]+)/(?P<rest>\S+)"
)
_REGIONAL = re.compile(r"[a-z-]+\.(?P<model>[a-z0-9-]+\..+)")
"""Id of a system-defined inference profile: an area, such as ``us``, and the model's id."""


@dataclass(frozen=True, slots=True)
class Arn:
    """An ARN of Bedrock.

    Attributes:
        text: As it was written.
        owner: Partition, region and account, which resources of one job have in common.
        kind: Type of the resource, such as ``custom-model``.
        rest: What follows the type and its slash.
    """

    text: str
    owner: tuple[str, str, str]
    kind: str
    rest: str


def parse_arn(text: str, *kinds: str) -> Arn:
    """Parse an ARN of one of ``kinds``.

    Raises:
        BindingError: It is none; states what was found and what was expected.
    """
    found = _ARN.fullmatch(text)
    if found is None or found["kind"] not in kinds:
        raise BindingError(f"{text!r} is not the ARN of a {' or '.join(kinds)} of Bedrock")
    owner = (found["partition"], found["region"], found["account"] or "")
    return Arn(text, owner, found["kind"], found["rest"])


def model_name(text: str) -> str:
    """Return a model's name in calls: a foundation model's id, and of every other its ARN."""
    found = _ARN.fullmatch(text)
    return found["rest"] if found is not None and found["kind"] == "foundation-model" else text


def asked_models(text: str) -> tuple[str, ...]:
    """Return every name by which a teacher could be withdrawn: a profile's, and its model's."""
    found = _ARN.fullmatch(text)
    name = text
    if found is not None and found["kind"] in {"foundation-model", "inference-profile"}:
        name = found["rest"]
    # Only the id of a profile has two dots before a colon: "us.amazon.nova-pro-v1:0".
    profile = _REGIONAL.fullmatch(name)
    within = () if name.startswith("arn:") or profile is None else (profile["model"],)
    return tuple(dict.fromkeys((name, *within)))


def base_in(model: Arn) -> str | None:
    """Return the base model that a custom model's ARN states, without its version; or ``None``."""
    stated, slash, _ = model.rest.partition("/")
    if model.kind != "custom-model" or not slash or stated == "imported":
        return None
    return stated.partition(":")[0]
