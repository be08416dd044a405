"""A batch file, read here."""

from __future__ import annotations

from collections.abc import Iterable

from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract.batch_lines import Lines, read_block


def calls(
    pieces: Iterable[bytes], provider: str = "openai", api: str = "openai"
) -> dict[Call, int] | tuple[Reason, str]:
    """Every different call in a file that comes in these pieces, or why it is refused."""
    lines = Lines(provider, api)
    try:
        for piece in pieces:
            for block in lines.feed(piece):
                lines.add(read_block(block))
        for block in lines.close():
            lines.add(read_block(block))
    except AdmissibilityError as error:
        return error.reason, error.message
    return lines.calls
