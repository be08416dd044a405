"""Reads which model a deployment of Azure OpenAI runs, from Azure Resource Manager's record. Pure.

A deployment keeps its name while it is pointed at another model, or upgraded by Azure, and may send
calls that it cannot take to another deployment. So one is bound only while nothing of that can
happen without its record changing; and a record that changed ends the binding, even where the model
is the same as before, since another may have run in between.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sidecar.binding import records
from sidecar.binding.deployments import DeployedModel
from sidecar.binding.errors import BindingError
from sidecar.binding.records import Identifier, Record
from sidecar.providers import ADAPTED_NAMES

_FORMAT = "OpenAI"

PROCESSING = (
    ("Global", "global"),
    ("Developer", "global"),
    ("DataZone", "data-zone"),
    ("Standard", "region"),
    ("Provisioned", "region"),
)
"""Beginning of a SKU → where calls are processed; Developer may use any region (Azure OpenAI
deployment types). Any other SKU's is ``unknown``."""


class _Model(Record):
    format: Identifier
    name: Identifier
    version: Identifier | None = None
    source: str | None = None


class _Properties(Record):
    provisioning_state: Annotated[str, Field(alias="provisioningState")]
    model: _Model
    version_upgrade_option: Annotated[str | None, Field(alias="versionUpgradeOption")] = None
    spillover: Annotated[str | None, Field(alias="spilloverDeploymentName")] = None
    parent: Annotated[str | None, Field(alias="parentDeploymentName")] = None


class _Sku(Record):
    name: Identifier


class _SystemData(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    last_modified_at: Annotated[str, Field(alias="lastModifiedAt")]


class _Deployment(Record):
    type: Literal["Microsoft.CognitiveServices/accounts/deployments"]
    name: Identifier
    etag: Identifier
    sku: _Sku
    system_data: Annotated[_SystemData, Field(alias="systemData")]
    properties: _Properties


def read_deployment(data: bytes) -> DeployedModel:
    """Read a deployment (``Microsoft.CognitiveServices/accounts/deployments``, API 2025-09-01).

    Args:
        data: The answer's bytes.

    Raises:
        BindingError: Not such a record; it is not provisioned; Azure may upgrade its model; calls
            may spill over to another deployment; or its model is none of OpenAI's format.
    """
    value = records.parse_object(data, "deployment")
    found = records.validate(_Deployment, value, "deployment")
    properties = found.properties
    expected = {
        "provisioningState": (properties.provisioning_state, "Succeeded"),
        "versionUpgradeOption": (properties.version_upgrade_option, "NoAutoUpgrade"),
        "spilloverDeploymentName": (properties.spillover or "", ""),
        "parentDeploymentName": (properties.parent or "", ""),
        "model.format": (properties.model.format, _FORMAT),
    }
    for name, (stated, bindable) in expected.items():
        if stated != bindable:
            raise BindingError(
                f"deployment {found.name}: {name} is {stated!r}, expected {bindable!r}"
            )
    model = properties.model
    adapted = ADAPTED_NAMES.fullmatch(model.name) is not None
    versioned = model.name if model.version is None else f"{model.name}-{model.version}"
    return DeployedModel(
        found.name,
        model.name if adapted else versioned,
        adapted,
        _projection(value),
        {"sku": found.sku.name, "processing": _processing(found.sku.name)},
    )


def _projection(value: dict[str, Any]) -> dict[str, Any]:
    model = value["properties"]["model"]
    return {
        "model": {key: model.get(key) for key in ("format", "name", "version", "source")},
        "etag": value["etag"],
        "lastModifiedAt": value["systemData"]["lastModifiedAt"],
    }


def _processing(sku: str) -> str:
    return next((place for begin, place in PROCESSING if sku.startswith(begin)), "unknown")
