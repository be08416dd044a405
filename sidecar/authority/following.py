"""Follows the SPIFFE bundle of a trust domain, and publishes it whenever it changed.

Theory of operation. Each round fetches the bundle, compares it with what is published, and
publishes a difference under the home's lock. A round that fails changes nothing: what is published
stays, and the next round comes sooner, at doubling distances up to the ordinary one. A bundle whose
``spiffe_sequence`` is lower than the one published last is an older one, put back by a mirror or a
backup, and is refused. The time between rounds is the bundle's ``spiffe_refresh_hint``, bounded.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from sidecar.authority import journal
from sidecar.authority.bundle_sources import BundleSource, plain, same
from sidecar.authority.bundles import TrustBundle
from sidecar.authority.errors import AuthorityError, SecretError
from sidecar.authority.home import NO_DOMAINS, with_trust_domains_key
from sidecar.authority.journal import FileWrite
from sidecar.authority.open_home import Home, OpenHome, Publication, locked_home, publish_changes
from sidecar.authority.usable_keys import dropped, usable_keys

SEQUENCES_FILE = "bundles.json"
"""Private: trust domain → the highest ``spiffe_sequence`` that was followed.

It stays where a bundle has none, such as one of the Workload API.
"""

DEFAULT_REFRESH = 300.0
"""Seconds between rounds where the bundle gives no hint: SPIRE's own default."""

SHORTEST, LONGEST = 5.0, 3600.0
FIRST_RETRY = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Round:
    """One fetch: the bundle, and what was published, or ``None`` where nothing had changed."""

    bundle: TrustBundle
    publication: Publication | None


def follow_once(home: Home, name: str, source: BundleSource, now: datetime) -> Round:
    """Fetch the bundle of one trust domain, and publish it if it changed.

    Raises:
        AuthorityError: It cannot be fetched, is older than the one published last, has keys of
            which a gate can use none, or cannot be published. What is published stays.
    """
    bundle = source.fetch(name)
    usable = usable_keys(bundle.domain, now)
    left_out = (
        *(f"{name}: entry skipped: {text}" for text in bundle.skipped),
        *(f"{name}: not usable by a gate: {text}" for text in usable.left_out),
    )
    bundle = replace(bundle, domain=usable.domain)
    with locked_home(home.path) as opened:
        sequences = _sequences(opened)
        last = sequences.get(name)
        published = (opened.domains or NO_DOMAINS).trust_domains
        known = next((domain for domain in published if domain.name == name), None)
        if known is None:
            last = None  # removed meanwhile: follow it from the start again
        if last is not None and bundle.sequence is not None and bundle.sequence < last:
            raise AuthorityError(
                f"{name}: spiffe_sequence {bundle.sequence} is older than {last}, which is "
                "published. If its server started over: admit authority trust-domain "
                f"{name} --remove, then follow it again"
            )
        if bundle.sequence is not None:
            sequences[name] = bundle.sequence
        elif known is None:
            sequences.pop(name, None)
        record = FileWrite(SEQUENCES_FILE, json.dumps(sequences, sort_keys=True).encode("ascii"))
        if known is not None and same(known, bundle.domain):
            if sequences.get(name) != last:
                journal.commit(opened.path, (record,), None)
            for text in left_out:
                log.debug("%s", text)  # warned about when it was first left out
            return Round(bundle, None)
        for text in left_out:
            log.warning("%s", text)
        if known is None:
            domains = (*published, bundle.domain)
        else:
            domains = tuple(bundle.domain if d.name == name else d for d in published)
        after = replace(
            opened,
            settings=with_trust_domains_key(opened),
            document=replace(opened.document, trust_domains=()),
            domains=replace(opened.domains or NO_DOMAINS, trust_domains=domains),
        )
        done = publish_changes(opened, after, now, (record,))
        done = replace(done, warnings=(*done.warnings, *dropped(known, bundle.domain)))
    return Round(bundle, done)


def follow(
    home: Home,
    name: str,
    source: BundleSource,
    *,
    refresh: float | None,
    now: Callable[[], datetime],
    wait: Callable[[float], bool],
) -> None:
    """Follow a bundle until ``wait`` returns true.

    Args:
        home: The authority's home.
        name: The trust domain.
        source: Where its bundle comes from.
        refresh: Seconds between rounds, instead of the bundle's hint.
        now: Returns the current time, aware.
        wait: Waits so many seconds; returns whether to stop, as ``threading.Event.wait`` does.

    Raises:
        SecretError: A PIN is wrong, or its token is locked.
    """
    ordinary, retry = refresh or DEFAULT_REFRESH, FIRST_RETRY
    while True:
        try:
            done = follow_once(home, name, source, now())
        except SecretError:
            raise  # a few more rounds with a wrong PIN would lock the token
        except AuthorityError as error:
            pause = min(retry, ordinary)
            retry *= 2
            log.error("%s; what is published stays; next try in %g s", error, pause)  # noqa: TRY400
        else:
            retry = FIRST_RETRY
            pause = ordinary = refresh or bounded(done.bundle.refresh_hint)
            report(name, done)
        if wait(pause):
            return


def report(name: str, done: Round) -> None:
    """Log one round: what was published, or that nothing had changed."""
    held = plain(done.bundle)
    if done.publication is None:
        log.info("%s: unchanged (%s)", name, held)
        return
    if held.startswith("0 X.509 roots, 0 JWT"):
        log.warning("%s: its bundle is empty: every credential of it is refused from now on", name)
    log.info("%s: published version %d (%s)", name, done.publication.version, held)
    for warning in done.publication.warnings:
        log.warning("%s", warning)


def bounded(hint: int | None) -> float:
    """Return the refresh hint of a bundle in seconds, within what is sensible."""
    return DEFAULT_REFRESH if hint is None else min(max(float(hint), SHORTEST), LONGEST)


def _sequences(opened: OpenHome) -> dict[str, int]:
    path = opened.path / SEQUENCES_FILE
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise AuthorityError(f"{path} cannot be read: {error}; restore or remove it") from error
    return {str(name): int(number) for name, number in value.items()}
