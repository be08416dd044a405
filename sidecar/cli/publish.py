"""``admit publish``: copy a repository or evidence to where gates read it from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from rich.progress import Progress

from sidecar.authority import home as authority
from sidecar.authority import publishing
from sidecar.cli import common
from sidecar.cli.common import CliError, JsonOption
from sidecar.cli.plain_console import PlainConsole
from sidecar.cli.publish_options import (
    Ca,
    ClientCertificate,
    ClientKey,
    CredentialsFile,
    Endpoint,
    Evidence,
    Home,
    NkeyFile,
    To,
    UserFile,
)
from sidecar.core import dsse
from sidecar.core.reasons import EvidenceError
from sidecar.destinations import places
from sidecar.destinations.evidence import Advance, Copied
from sidecar.destinations.places import PlaceNameError, PlaceOptions
from sidecar.formats.amounts import amount
from sidecar.trust import evidence_folder


def publish(
    to: To,
    home: Home = None,
    evidence: Evidence = None,
    endpoint_url: Endpoint = None,
    ca: Ca = None,
    client_certificate: ClientCertificate = None,
    client_key: ClientKey = None,
    credentials_file: CredentialsFile = None,
    nkey_file: NkeyFile = None,
    user_file: UserFile = None,
    as_json: JsonOption = False,
) -> None:
    """Publish a repository, evidence, or both; run it again after each change.

    Readers find the state before or the one after. Evidence that is in none of the folders any more
    is no longer listed. Files of a repository that only superseded editions name are removed after
    an hour. Credentials for S3 are found as by AWS's own tools.

    Examples:
        admit publish --to /srv/www/acme --home acme --evidence signed
        admit publish --to s3://acme-trust/risk --home acme
    """
    if home is None and not evidence:
        raise CliError("nothing to publish; give --home, --evidence or both")
    options = PlaceOptions(
        endpoint=endpoint_url,
        ca=ca,
        certificate=client_certificate,
        key=client_key,
        credentials=credentials_file,
        nkey=nkey_file,
        user=user_file,
    )
    try:
        opened = places.open_place(to, options)
    except PlaceNameError as error:
        raise CliError(f"--to: {error}") from error
    files = _envelopes(evidence) if evidence else frozenset()
    done: dict[str, Copied] = {}
    with closing(opened) as place:
        if home is not None:
            loaded = authority.load(home)
            done["repository"] = _shown(
                "repository", lambda advance: publishing.publish_repository(loaded, place, advance)
            )
        if evidence:
            done["evidence"] = _shown(
                "evidence", lambda advance: publishing.publish_evidence(files, place, advance)
            )
    common.warn(*(copied.problem for copied in done.values() if copied.problem))
    if as_json:
        common.report("", {"to": to}, as_json=True, **{k: _plain(v) for k, v in done.items()})
        return
    facts = {name: _line(name, copied) for name, copied in done.items()}
    common.report(f"Published to {to}.", facts, as_json=False)


def _envelopes(folders: list[Path]) -> frozenset[bytes]:
    """Read the evidence below some folders; what is no envelope is left out with a warning."""
    found: set[bytes] = set()
    for folder in folders:
        if not folder.is_dir():
            raise CliError(f"--evidence {folder}: is not a folder")
        news = evidence_folder.read(folder)
        common.warn(*(f"left out: {problem}" for problem in news.problems))
        for data in news.files:
            try:
                dsse.parse(data)
            except EvidenceError as error:
                common.warn(f"left out: a file below {folder}: {error}")
            else:
                found.add(data)
    return frozenset(found)


def _shown(what: str, work: Callable[[Advance], Copied]) -> Copied:
    """Do the work with a progress bar on a terminal."""
    console = PlainConsole(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        return work(lambda done, every: bar.update(task, completed=done, total=every))


def _plain(copied: Copied) -> dict[str, int | str | None]:
    return {
        "version": copied.version,
        "files": copied.files,
        "written": copied.written,
        "removed": copied.removed,
        "problem": copied.problem or None,
    }


def _line(name: str, copied: Copied) -> str:
    version = "version" if name == "repository" else "listing"
    # Superseded files of a repository go with each publication: nobody has to know.
    shown = copied.removed and name != "repository"
    removed = f", {copied.removed} removed" if shown else ""
    files = amount(copied.files, "file")
    return f"{version} {copied.version}: {files}, {copied.written} written{removed}"
