"""Defines the schema of ``trust.yaml``, and reports a mistake in it in one line.

Strict on purpose: an unknown key, a key given twice or an empty list would otherwise weaken a
requirement silently.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from sidecar.core.wire import fault_message
from sidecar.formats import faults
from sidecar.formats.config_file import ConfigFileError, parse_yaml

SAFE_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"

_Text = Annotated[str, Field(min_length=1, max_length=512)]
_Patterns = Annotated[list[_Text], Field(min_length=1, max_length=256)]
_Role = Annotated[str, Field(pattern=SAFE_NAME)]
_Roles = Annotated[list[_Role], Field(min_length=1, max_length=64)]
_TrustDomain = Annotated[str, Field(pattern=r"^[a-z0-9._-]{1,255}$")]


class FileError(Exception):
    """The file is not a ``trust.yaml``; the text is one line: the place, and what is wrong."""


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )


class GrantEntry(_Strict):
    """One grant. Some keys, such as ``base_models``, go with certain roles."""

    role: _Role
    """`producer`, `evaluator`, `provider`, `customer`, `regulator`, or another approving role."""
    jurisdictions: _Patterns
    """Jurisdictions for which the role holds; patterns."""
    sectors: _Patterns
    """Sectors for which it holds; patterns."""
    models: _Patterns
    """Models for which it holds; patterns over `provider/id`."""
    environments: _Patterns
    """Environments for which it holds; patterns over SPIFFE IDs."""
    base_models: Annotated[list[_Text] | None, Field(min_length=1, max_length=256)] = None
    """Providers only: base models it answers for, can retire, and can say which deployments run;
    patterns."""
    trust_domains: Annotated[list[_TrustDomain] | None, Field(min_length=1, max_length=64)] = None
    """Customers only: SPIFFE trust domains whose roots it publishes. One authority for each."""
    sandbox: Annotated[list[_Text] | None, Field(min_length=1, max_length=64)] = None
    """Evaluators only: environments from which it evaluates models that are not active yet, over a
    sandbox route; patterns over SPIFFE IDs. The environments' declared purpose is `evaluation`."""
    of_record: bool = False
    """Providers only: it attests what the provider's API said; the provider does not sign for
    itself."""
    silence: Literal["denies", "ignored"] | None = None
    """What holds in the grant's scope while the authority cannot be heard and signed nothing that a
    decision rests on: `denies`, or `ignored`. By default `denies` for regulator, customer and
    provider, `ignored` for every other role. A withdrawal that was heard counts either way."""


class SourceEntry(_Strict):
    """Where files are read from: a folder, a web server or NATS. A text alone is one of them."""

    directory: _Text | None = None
    """A folder."""
    url: _Text | None = None
    """`https://HOST[:PORT]/PATH` of static files on a web server or object store, of which
    redirects are not followed; or `tls://HOST[:PORT][,HOST[:PORT]]/BUCKET/FOLDER` of a NATS
    JetStream key-value bucket and the object store of the same name (`nats://` without TLS)."""
    ca: _Text | None = None
    """With `url`: PEM certificates of the CAs that the server is authenticated by, instead of the
    system's."""
    client_certificate: _Text | None = None
    """With `url`: the client's certificate chain (PEM), for mutual TLS; read again when it
    changes."""
    client_key: _Text | None = None
    """With `url`: the client's private key (PEM); read again when it changes."""
    bearer_file: _Text | None = None
    """With `https://`: file with a bearer token; read for each request."""
    proxy: _Text | None = None
    """With `https://`: `http://[USER:PASSWORD@]HOST:PORT` of an HTTP proxy, or `environment` for
    `HTTPS_PROXY` and `NO_PROXY`. Without it the environment is not looked at."""
    credentials_file: _Text | None = None
    """With `tls://` or `nats://`: a NATS `.creds` file, with the user's JWT and NKey seed; read
    again when it changes."""
    nkey_file: _Text | None = None
    """With `tls://` or `nats://`: file with a user's NKey seed; read again when it changes."""
    user_file: _Text | None = None
    """With `tls://`: file with `USER:PASSWORD` of NATS; read again when it changes."""


def as_mapping(value: object) -> object:
    """Read a text alone as the directory or URL of a source."""
    if not isinstance(value, str):
        return value
    return {"url" if "://" in value else "directory": value}


_Source = Annotated[SourceEntry, BeforeValidator(as_mapping)]


class AuthorityEntry(_Strict):
    """One authority: its name, pinned first root, source and grants."""

    name: Annotated[str, Field(pattern=SAFE_NAME)]
    """The same name as in the authority's own `authority.json`."""
    root: _Text
    """The pinned first TUF root (`1.root.json`, or a later one)."""
    source: _Source
    """Where the authority's TUF repository, `metadata/` and `targets/`, is read from; a text alone
    is its `directory` or `url`."""
    grants: Annotated[list[GrantEntry], Field(min_length=1, max_length=64)]
    """What you let it do; never what it declares about itself."""


class JurisdictionEntry(_Strict):
    """Requirements of one jurisdiction beyond those of all."""

    required_roles: _Roles
    """Roles that this jurisdiction requires in addition."""


class FloorEntry(_Strict):
    """What holds in some environments, whatever their customer declares."""

    environments: _Patterns
    """Environments in which the floor holds; patterns over SPIFFE IDs."""
    jurisdictions: Annotated[list[_Text] | None, Field(min_length=1, max_length=64)] = None
    """Jurisdictions that hold there beside the declared ones; names, not patterns."""
    sector: _Text | None = None
    """The sector that a declaration must state; another one is refused."""
    roles: _Roles | None = None
    """Roles that are required there in addition."""


class TrustFile(_Strict):
    """``trust.yaml``."""

    version: Literal[1]
    """Version of the format."""
    state: _Text
    """Folder in which the highest versions seen are kept. Created with mode 0700; refused if others
    can use it, if it belongs to another user, or if it lies inside a followed folder."""
    poll_seconds: Annotated[float, Field(ge=0.05, le=3600, allow_inf_nan=False)] = 5.0
    """Every source is read again after this many seconds at the latest."""
    evidence: Annotated[list[_Source], Field(min_length=1, max_length=64)]
    """Where evidence is read from: folders, every `*.json` below them, which need not exist yet; or
    URLs of folders with an `index.json`. A text alone is a `directory` or `url`."""
    required_roles: _Roles | None = None
    """Roles that every adapted model needs, beyond provider, customer, a regulator for each
    jurisdiction, and what the manifest requires. It can only add."""
    specification: Literal["required", "optional"] = "required"
    """Whether every adapted model, and every model that it was tuned from, must name the
    specification that a customer signed before the job began. `optional` is for models from before
    there was one."""
    jurisdictions: dict[_Text, JurisdictionEntry] = {}
    """What a jurisdiction requires beyond the rest."""
    floors: Annotated[list[FloorEntry] | None, Field(min_length=1, max_length=256)] = None
    """What holds in environments whatever is declared for them. Several that match add up."""
    authorities: Annotated[list[AuthorityEntry], Field(min_length=1, max_length=256)]
    """The authorities you trust, each with its grants."""


def read(data: bytes) -> TrustFile:
    """Read the file's bytes.

    Raises:
        FileError: Not YAML, a key given twice, or not such a file.
    """
    try:
        return TrustFile.model_validate(parse_yaml(data))
    except ConfigFileError as error:
        raise FileError(str(error)) from error
    except ValidationError as error:
        raise FileError(_problem(faults.reported(error))) from error


def _problem(detail: ErrorDetails) -> str:
    place = faults.place_of(detail)
    given = detail["input"]
    match detail["type"]:
        case "missing":
            return f"{place}: is missing"
        case "extra_forbidden":
            return f"{place}: {faults.unknown_key(detail, TrustFile)}"
        case "string_type":
            return f"{place}: must be text; put it in quotes"
        case "too_short" | "string_too_short":
            return f"{place}: is empty; write out what holds, '**' means all"
        case "string_pattern_mismatch":
            return f"{place}: {given!r} is not a name of the form {detail['ctx']['pattern']}"
        case _:
            message = fault_message(detail)
            return f"{place}: {message[0].lower()}{message[1:]}"
