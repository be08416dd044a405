"""``admit authority follow-bundle``: keep a trust domain's published roots up to date."""

from __future__ import annotations

import logging
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509

from sidecar.authority import bundle_sources, following, trust_domains
from sidecar.authority import home as authority
from sidecar.authority.bundle_sources import (
    BundleSource,
    FileSource,
    SpiffeSource,
    WebSource,
    WorkloadApiSource,
)
from sidecar.authority.open_home import Home
from sidecar.authority.settings import duration
from sidecar.cli import common
from sidecar.cli.common import CliError, HomeOption, JsonOption


class Profile(StrEnum):
    """Authentication of a bundle endpoint (SPIFFE Federation §5.2)."""

    WEB = "https_web"
    SPIFFE = "https_spiffe"


FileOption = Annotated[Path | None, typer.Option(help="A file with its SPIFFE bundle.")]
UrlOption = Annotated[
    str | None, typer.Option(help="Bundle endpoint of the trust domain, https://…")
]
ProfileOption = Annotated[Profile, typer.Option(help="How the endpoint is authenticated.")]
CaOption = Annotated[
    Path | None, typer.Option(help="https_web: PEM of CAs, instead of the system's.")
]
EndpointIdOption = Annotated[
    str | None, typer.Option(help="https_spiffe: the SPIFFE ID of the endpoint's server.")
]
BootstrapOption = Annotated[
    Path | None,
    typer.Option(
        help="https_spiffe: first roots of the endpoint's trust domain (SPIFFE bundle or PEM), "
        "as long as none that are valid are published."
    ),
]
WorkloadApiOption = Annotated[
    str | None,
    typer.Option(help="The SPIFFE Workload API, unix:///SOCKET; needs the extra [spiffe]."),
]
RefreshOption = Annotated[
    str | None,
    typer.Option(metavar="PERIOD", help="Between rounds, instead of the bundle's own hint."),
]
OnceOption = Annotated[bool, typer.Option("--once", help="Fetch and publish once, then end.")]


def follow_bundle(
    name: Annotated[str, typer.Argument(help="The SPIFFE trust domain.")],
    home: HomeOption,
    file: FileOption = None,
    url: UrlOption = None,
    profile: ProfileOption = Profile.WEB,
    ca: CaOption = None,
    endpoint_id: EndpointIdOption = None,
    bootstrap: BootstrapOption = None,
    workload_api: WorkloadApiOption = None,
    refresh: RefreshOption = None,
    once: OnceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Follow the bundle of a trust domain, and publish its roots whenever they change.

    Only the online and the trust-domains key are needed, after the first time. Runs until it is
    stopped; a round that fails leaves what is published and is tried again.

    Examples:
        admit authority follow-bundle acme.example --home acme
            --url https://spire.acme.example/bundle
    """
    trust_domains.check_name(name)
    opened = authority.load(home)
    source = _source(opened, file, url, profile, ca, endpoint_id, bootstrap, workload_api)
    _log_to_stderr()
    if once:
        _once(opened, name, source, as_json=as_json)
        return
    seconds = None if refresh is None else duration(refresh).total_seconds()
    with until_signalled() as wait:
        following.follow(
            opened, name, source, refresh=seconds, now=lambda: datetime.now(UTC), wait=wait
        )


@contextmanager
def until_signalled() -> Iterator[Callable[[float], bool]]:
    """Take SIGTERM and SIGINT, and yield a wait of so many seconds for one of them.

    Without a lock: a handler runs in the thread that waits, and setting a ``threading.Event`` there
    would wait for ever for the lock that this thread holds.
    """
    received, sending = socket.socketpair()
    sending.setblocking(False)

    def note(*_: object) -> None:
        with suppress(BlockingIOError):  # already recorded
            sending.send(b"\0")

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    with received, sending:
        try:
            yield lambda seconds: bool(select.select([received], [], [], seconds)[0])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _once(home: Home, name: str, source: BundleSource, *, as_json: bool) -> None:
    """Do one round, and report it."""
    done = following.follow_once(home, name, source, common.now())
    following.report(name, done)
    publication = done.publication
    common.report(
        f"{name}: {'unchanged' if publication is None else 'published'}.",
        {"bundle": bundle_sources.plain(done.bundle)},
        as_json=as_json,
        trust_domain=name,
        published=None if publication is None else publication.version,
        sequence=done.bundle.sequence,
        skipped=list(done.bundle.skipped),
    )


def _source(
    home: Home,
    file: Path | None,
    url: str | None,
    profile: Profile,
    ca: Path | None,
    endpoint_id: str | None,
    bootstrap: Path | None,
    workload_api: str | None,
) -> BundleSource:
    """Choose the one source that the options name.

    Raises:
        CliError: None, several, or options that do not belong together.
    """
    if sum(given is not None for given in (file, url, workload_api)) != 1:
        raise CliError("give one of --file, --url and --workload-api")
    spiffe_options = endpoint_id is not None or bootstrap is not None
    if spiffe_options and (url is None or profile is not Profile.SPIFFE):
        raise CliError("--endpoint-id and --bootstrap go with --url and --profile https_spiffe")
    if ca is not None and (url is None or profile is not Profile.WEB):
        raise CliError("--ca goes with --url and --profile https_web")
    if file is not None:
        return FileSource(file)
    if workload_api is not None:
        return WorkloadApiSource(workload_api)
    address = url or ""
    if profile is Profile.WEB:
        return WebSource(address, ca)
    if endpoint_id is None:
        raise CliError("--profile https_spiffe needs --endpoint-id")
    domain = common.workload_id(endpoint_id, "--endpoint-id")
    first = () if bootstrap is None else bundle_sources.read_roots(domain, common.read(bootstrap))
    return SpiffeSource(address, endpoint_id, lambda: _roots(home, domain) or first)


def _roots(home: Home, domain: str) -> tuple[str, ...]:
    """Return the X.509 roots that are published for a trust domain and have not expired.

    Expired ones authenticate nothing, so a follower that was stopped for longer than they lived
    begins again with ``--bootstrap``.
    """
    published = authority.describe(home).trust_domains
    roots = next((found.x509_roots for found in published if found.name == domain), ())
    now = common.now()
    return tuple(
        pem
        for pem in roots
        if x509.load_pem_x509_certificate(pem.encode("ascii")).not_valid_after_utc > now
    )


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("sidecar.authority")
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
