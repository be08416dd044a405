"""The gate's TUF client behind the command line of the TUF conformance suite (CLIENT-CLI.md).

``client.py --metadata-dir DIR init ROOT``, ``… --metadata-url URL refresh``, ``… download``. Roots,
metadata and limits are the gate's (``sidecar.trust.refresh``); documents of an authority, which the
suite's repositories do not have, are not asked for.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.ngclient import Updater

from sidecar.trust import refresh, roots
from sidecar.trust.config import TrustedAuthority
from sidecar.trust.fetcher import METADATA, TARGETS
from sidecar.trust.source import SourceError, SourceMissingError, Trigger
from sidecar.trust.source_config import DirectorySourceConfig
from sidecar.trust.store import StoreError
from sidecar.trust.updater import KeptUpdater
from sidecar.trust.view import store_of

NAME = "suite"
FAILED = 1


class SuiteSource:
    """The suite's HTTP server as a source; it announces no changes."""

    def __init__(self, metadata_url: str, target_url: str) -> None:
        self._urls = {METADATA: metadata_url, TARGETS: target_url}

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Return the bytes of a file of the repository."""
        folder = METADATA if name.startswith(METADATA) else TARGETS
        url = f"{self._urls[folder].rstrip('/')}/{name.removeprefix(folder)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                data: bytes = answer.read(max_bytes + 1)
        except urllib.error.HTTPError as error:
            error.close()
            raise SourceMissingError(f"{name}: {error.code}") from error
        except (OSError, ValueError) as error:
            raise SourceError(f"{name}: {error}") from error
        if len(data) > max_bytes:
            raise SourceError(f"{name}: larger than {max_bytes} bytes")
        return data

    def changes(self, poll_seconds: float, stop: threading.Event) -> Iterator[Trigger]:
        """Yield nothing."""
        yield from ()


def main(arguments: list[str]) -> int:
    """Run one command of the suite; return its exit status."""
    parser = argparse.ArgumentParser()
    for option in ("--metadata-dir", "--metadata-url", "--target-dir", "--target-base-url"):
        parser.add_argument(option)
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("command", choices=("init", "refresh", "download"))
    parser.add_argument("root", nargs="?")
    given = parser.parse_args(arguments)
    shown = Path(given.metadata_dir)
    pinned, state = shown.parent / "pinned.json", shown.parent / "state"
    if given.command == "init":
        shutil.copyfile(given.root, pinned)
        shutil.copyfile(given.root, shown / "root.json")
        return 0
    authority = TrustedAuthority(NAME, pinned.read_bytes(), DirectorySourceConfig(Path()))
    source = SuiteSource(given.metadata_url, given.target_base_url or "")
    store = store_of(authority, state)
    try:
        with store.locked():
            try:
                no_roots: set[str] = set()
                chain = refresh.follow_roots(authority, source, store, no_roots)
                before = refresh.held(store, chain, None)
                updater = KeptUpdater(authority, source, store, no_roots, before)
                try:
                    updater.refresh()
                finally:
                    store.keep_floor(updater.held)
                try:
                    for name in given.target_name:
                        _download(updater, name, Path(given.target_dir))
                finally:
                    # The suite counts files; delegated roles are values of the updater alone.
                    for role, data in updater.held.items():
                        (shown / f"{quote(role, '')}.json").write_bytes(data)
            finally:
                newest = max(store.history.glob("*.root.json"), key=_version)
                shutil.copyfile(newest, shown / "root.json")
                for path in store.metadata.glob("*.json"):
                    shutil.copyfile(path, shown / path.name)
    except (RepositoryError, DownloadError, StoreError, roots.RootError, OSError, ValueError) as e:
        sys.stderr.write(f"{type(e).__name__}: {e}\n")
        return FAILED
    return 0


def _version(root: Path) -> int:
    return int(root.name.partition(".")[0])


def _download(updater: Updater, name: str, folder: Path) -> None:
    found = updater.get_targetinfo(name)
    if found is None:
        raise ValueError(f"{name} is not listed")
    path = folder / urllib.parse.quote(name, "")
    if updater.find_cached_target(found, str(path)) is None:
        updater.download_target(found, str(path))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
