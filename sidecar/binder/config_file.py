"""The keys of ``binder.yaml``, each with its docstring."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from sidecar.destinations.place_config import PlaceEntry
from sidecar.formats.addresses import HostPort
from sidecar.formats.config_file import STRICT

_Text = Annotated[str, Field(min_length=1, max_length=512)]
_Texts = Annotated[list[_Text], Field(max_length=64)]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Days = Annotated[float, Field(gt=0, le=3660, allow_inf_nan=False)]
_Seconds = Annotated[float, Field(ge=0.05, le=86_400, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = STRICT


class PublishEntry(PlaceEntry):
    """Where a home's repository and what it hands out are published, as they change."""

    check_seconds: _Seconds = 60.0
    """Both are looked at again after this many seconds; after a binding at once."""


class DeploymentsEntry(_Strict):
    """Deployments of an account that are kept bound to the models that they run."""

    home: _Text
    """The provider's home, or that of a provider of record: signs bindings and withdraws them."""
    out: _Text | None = None
    """Folder that bindings are handed out from; the binder's if not given."""
    names: Annotated[list[_Text], Field(max_length=1024)] = []
    """`azure`: deployments, by name; all if none is given. `bedrock`: ARNs of custom model
    deployments and of provisioned throughput. `ollama`: tags, as calls name them."""
    subscription: _Text | None = None
    """`azure`: id of the subscription."""
    resource_group: _Text | None = None
    """`azure`: name of the resource group."""
    resource: _Text | None = None
    """`azure`: name of the Azure OpenAI resource."""
    endpoint_url: _Text | None = None
    """`azure`: of Resource Manager, if not the public cloud's."""
    hours: Annotated[float, Field(gt=0, le=168, allow_inf_nan=False)] = 2.0
    """Hours that a binding holds; it is renewed when half of them are over."""
    check_seconds: _Seconds = 60.0
    """Deployments are read again after this many seconds."""
    publish: PublishEntry | None = None
    """Publishes this home's repository and its `out`."""


class AccountEntry(_Strict):
    """A provider's account whose jobs are bound, or a server of open weights."""

    api: Literal["openai", "azure", "bedrock", "ollama"]
    """Which API it has. `ollama` has no jobs: its tags are kept bound as `deployments`."""
    base_url: _Text | None = None
    """`openai`, `azure`, `ollama`: of the API, of the gateway before it, or of the Azure
    resource."""
    api_version: _Text | None = None
    """`azure`: the dated API; without it `/openai/v1`."""
    key_file: _Text | None = None
    """`openai`, `azure`, `ollama`: file (0600) with the API key; `azure` without one uses Entra
    ID, `ollama` none."""
    key_variable: _Text | None = None
    """`openai`, `azure`: the environment variable that holds the API key instead."""
    credential_file: _Text | None = None
    """`openai`, `azure`: file (0600) with an environment's credential, where calls go through the
    gate."""
    region: _Text | None = None
    """`bedrock`: the region, if not that of the profile."""
    profile: _Text | None = None
    """`bedrock`: of the AWS configuration, if not the default."""
    endpoint_url: _Text | None = None
    """`bedrock`: of its control plane, e.g. a VPC endpoint."""
    s3_endpoint_url: _Text | None = None
    """`bedrock`: of S3."""
    poll_seconds: _Seconds = 60.0
    """Jobs are listed again after this many seconds."""
    lookback_days: _Days = 90.0
    """Jobs that were created earlier are not looked at."""
    webhook_secret_files: _Texts = []
    """`openai`: files (0600) with the signing secrets of its webhooks; two while one is
    replaced."""
    deployments: DeploymentsEntry | None = None
    """`azure`, `bedrock`, `ollama`: keeps deployments bound."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        bedrock = ("region", "profile", "endpoint_url", "s3_endpoint_url")
        hosted = ("base_url", "api_version", "key_file", "key_variable", "credential_file")
        strange = hosted if self.api == "bedrock" else bedrock
        for name in (*strange, *(("webhook_secret_files",) if self.api != "openai" else ())):
            if getattr(self, name):
                raise ValueError(f"{name}: an account of {self.api} has none")
        if self.deployments is not None:
            self._deployments_fit(self.deployments)
        if self.api == "ollama" and (self.deployments is None or self.key_variable):
            raise ValueError("an account of ollama has deployments, and no key_variable")
        if self.api in {"azure", "ollama"} and self.base_url is None:
            raise ValueError("base_url: is needed, such as https://NAME.openai.azure.com")
        if self.api_version is not None and self.api != "azure":
            raise ValueError("api_version: only Azure has one")
        if self.key_file is not None and self.key_variable is not None:
            raise ValueError("key_file and key_variable: give one of them")
        given = self.key_file or self.key_variable or self.credential_file
        if self.api == "openai" and given is None:
            raise ValueError("key_file: is needed, or key_variable, or credential_file")
        return self

    def _deployments_fit(self, entry: DeploymentsEntry) -> None:
        places = {
            name: getattr(entry, name) for name in ("subscription", "resource_group", "resource")
        }
        if self.api == "openai":
            raise ValueError("deployments: an account of openai has none")
        for name, value in places.items():
            if (value is None) == (self.api == "azure"):
                missing = "is needed" if value is None else "only Azure has one"
                raise ValueError(f"deployments.{name}: {missing}")
        if self.api in {"bedrock", "ollama"} and not entry.names:
            raise ValueError("deployments.names: is needed: the ARNs or tags that are kept bound")


class WebhooksEntry(_Strict):
    """Where webhooks are received, at `/webhooks/ACCOUNT`."""

    address: HostPort = "127.0.0.1:8465"
    """`HOST:PORT` to listen on; an IPv6 address is in brackets."""
    certificate: _Text | None = None
    """Certificate chain (PEM) for HTTPS; read again when it changes. Without it, HTTP."""
    key: _Text | None = None
    """Its private key (PEM)."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key: give both, or neither")
        return self


class BinderFile(_Strict):
    """``binder.yaml``."""

    version: Literal[1]
    """Version of the format."""
    home: _Text
    """The home that signs manifests."""
    out: _Text
    """Folder that manifests are handed out from."""
    blobs: _Text | None = None
    """Folder of the files whose digests they name; `out` if not given."""
    state: _Text
    """Folder for what the binder knows of each job, and for files in transit."""
    evidence: Annotated[_Texts, Field(min_length=1)]
    """Folders with the specifications that jobs are submitted under, and manifests of parents."""
    publish: PublishEntry | None = None
    """Publishes the home's repository and `out`."""
    submissions: _Text | None = None
    """Folder of the records of `admit job submit`."""
    days: _Days = 180.0
    """Days that a manifest is valid."""
    require_roles: _Texts = []
    """Roles that must approve as well."""
    data_classes: _Texts = []
    """Kinds of data in corpora that were not submitted from here."""
    declarations: dict[_Text, _Text] = {}
    """Name → value, in every manifest, for policies."""
    accounts: Annotated[dict[_Name, AccountEntry], Field(min_length=1, max_length=64)]
    """Provider's name, as the gate's routes have it → account."""
    workers: Annotated[int, Field(ge=1, le=32)] = 2
    """Jobs that are bound at once."""
    webhooks: WebhooksEntry | None = None
    """Receives webhooks; without it, jobs are found by polling alone."""
    admin: HostPort | None = None
    """`HOST:PORT` of `/healthz`, `/readyz` and `/metrics`, without TLS; best on loopback."""

    @model_validator(mode="after")
    def _webhooks_are_verified(self) -> Self:
        secret = any(each.webhook_secret_files for each in self.accounts.values())
        if self.webhooks is not None and not secret:
            raise ValueError("webhooks: no account has webhook_secret_files to verify them with")
        if self.webhooks is None and secret:
            raise ValueError("webhook_secret_files: there is no webhooks to receive any")
        return self
