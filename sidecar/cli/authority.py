"""``admit authority``: create an authority, show it, rotate its keys, keep its heartbeat."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sidecar.authority import bundles
from sidecar.authority import home as authority
from sidecar.authority.keys import OwnKey, tuf_warnings
from sidecar.authority.open_home import Home, Publication
from sidecar.authority.settings import Periods, duration
from sidecar.authority.usable_keys import dropped, usable_keys
from sidecar.cli import common
from sidecar.cli.authority_view import description_json, print_description
from sidecar.cli.common import CliError, HomeOption, JsonOption, command_group
from sidecar.cli.follow_bundle import follow_bundle
from sidecar.core import kinds
from sidecar.core.window import rfc3339

app = command_group("Keys, publishing, and everything an authority does with its own home folder.")


class KeyType(StrEnum):
    """Kinds of keys that are created."""

    ED25519 = "ed25519"
    ECDSA = "ecdsa"


class KeyRole(StrEnum):
    """An authority's keys."""

    ROOT = "root"
    TARGETS = "targets"
    ONLINE = "online"
    ATTESTATION = "attestation"
    TRUST_DOMAINS = "trust-domains"


class StatementNoun(StrEnum):
    """Nouns of ``kinds.KINDS``; written out because an option needs an enum."""

    MANIFEST = "manifest"
    RESULT = "result"
    APPROVAL = "approval"
    ENVIRONMENT = "environment"
    WAIVER = "waiver"
    DEPLOYMENT = "deployment"
    SPECIFICATION = "specification"


KeyTypeOption = Annotated[
    KeyType, typer.Option("--key-type", help="Type of keys that are created.")
]
UriOption = Annotated[
    str | None, typer.Option(metavar="URI", help="Signer URI of a key to use instead.")
]
PeriodOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=PERIOD",
        help="Validity of a kind of metadata, e.g. timestamp=6h or root=365d.",
    ),
]
PublicOption = Annotated[
    Path | None,
    typer.Option(metavar="PEM", help="Public half of the key at URI, unless that is a file."),
]


@app.command()
def init(
    name: Annotated[str, typer.Argument(help="The name operators will write.")],
    home: Annotated[
        Path,
        typer.Option(
            "--dir", "--home", envvar=common.HOME_VARIABLE, help="The home folder to create."
        ),
    ],
    key_type: KeyTypeOption = KeyType.ED25519,
    may_sign: Annotated[
        list[StatementNoun] | None,
        typer.Option(help="Kinds of evidence it signs; all, if not given."),
    ] = None,
    period: PeriodOption = None,
    root_key_uri: UriOption = None,
    root_public_key: PublicOption = None,
    targets_key_uri: UriOption = None,
    targets_public_key: PublicOption = None,
    online_key_uri: UriOption = None,
    online_public_key: PublicOption = None,
    attestation_key_uri: UriOption = None,
    attestation_public_key: PublicOption = None,
    trust_domains_key_uri: UriOption = None,
    trust_domains_public_key: PublicOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create an authority: keys, settings, and the first edition of its repository.

    Examples:
        admit authority init eu-regulator --dir ~/eu-regulator
        admit authority init acme --dir acme --period timestamp=6h
    """
    own = {
        "root": _own(root_key_uri, root_public_key, "root"),
        "targets": _own(targets_key_uri, targets_public_key, "targets"),
        "online": _own(online_key_uri, online_public_key, "online"),
        "attestation": _own(attestation_key_uri, attestation_public_key, "attestation"),
        "trust-domains": _own(trust_domains_key_uri, trust_domains_public_key, "trust-domains"),
    }
    made = authority.init(
        home,
        name,
        now=common.now(),
        periods=_periods(period or []),
        key_type=key_type,
        uris={role: key for role, key in own.items() if key is not None},
        may_sign=tuple(kinds.BY_NOUN[noun].urn for noun in (may_sign or StatementNoun)),
    )
    described = authority.describe(made)
    common.warn(*tuf_warnings(described.keys))
    facts = {
        "home": str(home),
        "publish": str(made.repository),
        "key": described.keys["attestation"].fingerprint(),
        "heartbeat": f"publish before {rfc3339(min(described.expires.values()))}",
    }
    common.report(f"Authority {name} is ready.", facts, as_json=as_json, name=name)


@app.command()
def show(
    home: HomeOption,
    pem: Annotated[bool, typer.Option("--pem", help="Print the attestation public key.")] = False,
    root: Annotated[
        bool, typer.Option("--root", help="Print the first root metadata: what operators pin.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show keys, versions, expiries, trust domains and withdrawals.

    Examples:
        admit authority show --home ~/eu-regulator
        admit authority show --root > eu-regulator.root.json
    """
    opened = authority.load(home)
    if pem and root:
        raise CliError("--pem and --root: one at a time")
    if pem:
        sys.stdout.write(authority.pem(opened))
    elif root:
        sys.stdout.buffer.write(authority.root_bytes(opened))
    elif as_json:
        common.report("", {}, as_json=True, **description_json(authority.describe(opened)))
    else:
        print_description(authority.describe(opened))


@app.command()
def publish(home: HomeOption, as_json: JsonOption = False) -> None:
    """Sign a new timestamp, and whatever else would expire soon.

    Examples:
        admit authority publish --home ~/eu-regulator
    """
    opened = authority.load(home)
    published(opened, "published", authority.publish(opened, common.now()), as_json=as_json)


@app.command()
def rotate(
    which: Annotated[KeyRole, typer.Argument(help="The key to replace.")],
    home: HomeOption,
    key_type: KeyTypeOption = KeyType.ED25519,
    key_uri: UriOption = None,
    public_key: PublicOption = None,
    overlap: Annotated[
        str | None,
        typer.Option(
            metavar="PERIOD",
            help="Attestation only: how long the old key still counts, for example 14d. Without "
            "it, the old key is retired at once.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Replace a key.

    A retired attestation key still shows who signed; what it signed no longer counts as
    agreement until it is signed again (admit resign).

    Examples:
        admit authority rotate attestation --home ~/eu-regulator
        admit authority rotate attestation --overlap 7
    """
    opened = authority.load(home)
    own = _own(key_uri, public_key, which)
    done = authority.rotate(
        opened,
        which,
        common.now(),
        key_type=key_type,
        own=own,
        overlap=None if overlap is None else duration(overlap),
    )
    published(opened, f"rotated its {which} key", done, as_json=as_json)


@app.command("trust-domain")
def trust_domain(
    name: Annotated[str, typer.Argument(help="The SPIFFE trust domain.")],
    home: HomeOption,
    jwks: Annotated[
        Path | None,
        typer.Option(
            "--jwks",
            "--bundle",
            help="Its SPIFFE bundle (spire-server bundle show -format spiffe), or a JWK Set with "
            "its public keys for JWT-SVIDs.",
        ),
    ] = None,
    x509_root: Annotated[
        list[Path] | None, typer.Option(help="PEM of a CA that issues X.509-SVIDs; repeatable.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the trust domain.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Publish the roots of a SPIFFE trust domain, replacing earlier ones.

    Examples:
        admit authority trust-domain acme.example --jwks jwks.json
            --x509-root ca.pem --home acme
    """
    opened = authority.load(home)
    known = authority.describe(opened).trust_domains
    others = tuple(domain for domain in known if domain.name != name)
    if remove:
        if jwks is not None or x509_root:
            raise CliError("--remove takes no roots")
        if len(others) == len(known):
            raise CliError(f"trust domain {name} is not published")
        domains = others
    else:
        roots = [common.read(path) for path in x509_root or []]
        read = bundles.read_domain(name, None if jwks is None else common.read(jwks), roots)
        usable = usable_keys(read, common.now())
        before = next((domain for domain in known if domain.name == name), None)
        common.warn(
            *(f"{name}: not usable by a gate, left out: {text}" for text in usable.left_out),
            *dropped(before, usable.domain),
        )
        domains = (*others, usable.domain)
    done = authority.set_trust_domains(opened, domains, common.now())
    did = f"{'no longer vouches' if remove else 'vouches'} for {name}"
    published(opened, did, done, as_json=as_json)


app.command("follow-bundle")(follow_bundle)


def published(
    home: Home,
    did: str,
    done: Publication,
    *,
    as_json: bool,
    facts: Mapping[str, str] | None = None,
    **more: object,
) -> None:
    """Report what an authority published; ``facts`` are rows of the table, ``more`` is JSON."""
    common.warn(*done.warnings)
    rows = {
        "publish": str(home.repository),
        "version": str(done.version),
        "signed": ", ".join(done.renewed),
        "good until": rfc3339(done.expires),
    }
    common.report(
        f"{home.name} {did}.",
        rows if as_json else rows | dict(facts or {}),
        as_json=as_json,
        name=home.name,
        warnings=done.warnings,
        **more,
    )


def _own(uri: str | None, public: Path | None, role: str) -> OwnKey | None:
    if uri is None:
        if public is not None:
            raise CliError(f"{role}: a public key without its URI")
        return None
    return OwnKey(uri, None if public is None else common.read(public).decode("ascii", "replace"))


def _periods(given: list[str]) -> Periods:
    names = {field.name for field in fields(Periods)}
    chosen = {}
    for text in given:
        name, _, period = text.partition("=")
        if name not in names:
            raise CliError(f"--period {text}: there are {', '.join(sorted(names))}")
        chosen[name] = duration(period)
    return Periods(**chosen)
