"""A validator that two editions share hides none: nginx makes one of size and second."""

from __future__ import annotations

import http.server
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

from sidecar.trust.http_source import BELIEVED_SECONDS, TIMESTAMP, HttpsSource
from sidecar.trust.source_config import HttpsSourceConfig
from tests.support.https_server import serving

Handler = http.server.BaseHTTPRequestHandler
MODIFIED = 1_780_000_000.0


def as_nginx(file: Path, settled: float) -> Callable[[Handler], bool]:
    """Answers as nginx does for a file changed ``settled`` seconds ago, by the server's clock."""

    def respond(handler: Handler) -> bool:
        data = file.read_bytes()
        etag = f'"{int(MODIFIED):x}-{len(data):x}"'
        same = handler.headers["If-None-Match"] == etag
        sent = b"" if same else data
        lines = (
            f"HTTP/1.1 {'304 Not Modified' if same else '200 OK'}",
            f"Date: {formatdate(MODIFIED + settled, usegmt=True)}",
            f"Last-Modified: {formatdate(MODIFIED, usegmt=True)}",
            f"ETag: {etag}",
            f"Content-Length: {len(sent)}",
        )
        handler.wfile.write("\r\n".join((*lines, "", "")).encode() + sent)
        return True

    return respond


def test_law_1_an_etag_that_the_next_edition_may_have_too_hides_no_withdrawal(
    tmp_path: Path,
) -> None:
    now = [0.0]
    with serving(tmp_path) as server:
        file = server.folder / TIMESTAMP
        file.parent.mkdir()
        config = HttpsSourceConfig(server.url, ca=server.ca)
        source = HttpsSource(config, clock=lambda: now[0])
        for settled in (0, 1, -5):  # the second one may be of the same second as the first
            server.misbehave = as_nginx(file, settled)
            for edition in (b"v41", b"v42"):
                file.write_bytes(edition)
                assert source.fetch(TIMESTAMP, 5) == edition
        # One that lasts is used, but no longer than a minute: the file may be a copy.
        server.misbehave = as_nginx(file, 2)
        assert source.fetch(TIMESTAMP, 5) == b"v42"
        file.write_bytes(b"v43")
        assert source.fetch(TIMESTAMP, 5) == b"v42"
        now[0] = BELIEVED_SECONDS
        assert source.fetch(TIMESTAMP, 5) == b"v43"
        source.close()
