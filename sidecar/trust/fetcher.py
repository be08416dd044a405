"""How the TUF library gets its bytes: from a ``Source``, capped, every root looked at first."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError
from tuf.ngclient import FetcherInterface

from sidecar.trust import roots
from sidecar.trust.limits import REPOSITORY
from sidecar.trust.source import Source, SourceError, SourceMissingError

METADATA = "metadata/"
TARGETS = "targets/"
TIMESTAMP = f"{METADATA}timestamp.json"

_ROOT = re.compile(re.escape(METADATA) + r"[0-9]+\.root\.json")


class OnlyRootsError(DownloadError):
    """Raised for the first file that is no root: the chain of roots is complete."""


class SourceFetcher(FetcherInterface):
    """Fetches from a source.

    Args:
        source: Where from.
        only_roots: Give nothing but root documents.
        no_roots: Names of root documents that the source was found not to have: not asked for
            again, and added to.
    """

    def __init__(
        self, source: Source, *, only_roots: bool = False, no_roots: set[str] | None = None
    ) -> None:
        self._source = source
        self._only_roots = only_roots
        self._no_roots = set() if no_roots is None else no_roots
        self.timestamp: bytes | None = None
        """The timestamp that was fetched last."""

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Download a file in memory; the library does so in a temporary file, on a disk.

        Raises:
            DownloadError: As of the library's.
        """
        data = b"".join(self.fetch(url))
        if len(data) > max_length:
            raise DownloadLengthMismatchError(f"{url}: {len(data)} bytes, at most {max_length}")
        return data

    def _fetch(self, url: str) -> Iterator[bytes]:
        """Return the bytes of ``url``, which is a name in the repository.

        Not a generator: the library turns only what is raised *here* into its own errors.
        """
        is_root = _ROOT.fullmatch(url) is not None
        if self._only_roots and not is_root:
            raise OnlyRootsError(url)
        if url in self._no_roots:
            raise DownloadHTTPError(f"{url}: the source had none a moment ago", 404)
        try:
            data = self._source.fetch(url, REPOSITORY.fetch)
        except SourceMissingError as error:
            if is_root:
                self._no_roots.add(url)
            raise DownloadHTTPError(str(error), 404) from error
        except SourceError as error:
            raise DownloadError(str(error)) from error
        if is_root:
            self._check_root(url, data)
        if url == TIMESTAMP:
            self.timestamp = data
        return iter([data])

    def _check_root(self, url: str, data: bytes) -> None:
        try:
            roots.parse(data)
        except roots.RootError as error:
            raise DownloadError(f"{url} is refused: {error}") from error
