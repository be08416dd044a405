"""Caps on everything that a source or a folder can hand us.

Endless data is an attack (TUF specification 1.5.2), and a signed length is no cap: whoever holds a
snapshot key may sign any. So every read has one of these, whatever the metadata says.
"""

from __future__ import annotations

from sidecar.core.documents import MAX_DOCUMENT_BYTES
from sidecar.core.dsse import MAX_ENVELOPE_BYTES

MAX_CONFIG_BYTES = 1 << 20
"""``trust.yaml``."""

MAX_ROOT_BYTES = 1 << 18
MAX_TIMESTAMP_BYTES = 1 << 14
MAX_SNAPSHOT_BYTES = 1 << 18
MAX_TARGETS_BYTES = 1 << 18
MAX_FETCH_BYTES = max(MAX_ROOT_BYTES, MAX_SNAPSHOT_BYTES, MAX_TARGETS_BYTES, MAX_DOCUMENT_BYTES)
"""The most that is ever asked of a source at once."""

MAX_ROOTS = 256
"""Root versions that are followed from the pinned one; an authority beyond that is re-pinned."""

MAX_EVIDENCE_BYTES = MAX_ENVELOPE_BYTES
"""One file of evidence."""

MAX_EVIDENCE_TOTAL_BYTES = 1 << 28
"""All files of evidence below one folder."""

MAX_EVIDENCE_ENTRIES = 200_000
"""Directory entries that are looked at below one folder of evidence."""

MAX_MESSAGE_CHARACTERS = 300
"""An error's text, as it is shown: parts of it may come from a hostile repository."""
