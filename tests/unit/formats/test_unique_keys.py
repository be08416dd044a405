"""What libyaml reads fast is what PyYAML reads, and every error is PyYAML's own."""

from __future__ import annotations

import pytest
import yaml

from sidecar.formats import unique_keys

DOCUMENTS = (
    "a: {b: [c, 1, true, ~, 2026-11-29], d: 'e'}\nf:\n- g\n- - h\n  - i: >-\n      j\n",
    "a: &x {b: c}\nd: *x\n<<: {e: f}\n",
    "",
    *("a: b\na: c\n", "1: a\n", "a: {b: c, b: d}\n", "a: b: c\n", "a: *b\n", "a: 2026-02-30\n"),
    # libyaml reads these, and PyYAML does not, or otherwise.
    *(
        "a:\tb\n",
        "a: !\n",
        "a: |#\n",
        "a: >-#\n  b\n",
        "{a: b, c?}\n",
        "a: b\n\ufeffc: d\n",
        "a\x00",
    ),
    "a: !!python/object:os.system b\n",
    "a: b\n".encode("utf-16"),
    "[" * 101 + "]" * 101,
    *("[" * 30_000, "- " * 30_000 + "a"),
)


def outcome(read: object, data: bytes | str) -> object:
    assert callable(read)
    try:
        return repr(read(data))
    except RecursionError:
        return RecursionError
    except (yaml.YAMLError, ValueError) as error:
        return type(error), str(error)


@pytest.mark.parametrize("data", DOCUMENTS, ids=lambda data: repr(data[:24]))
def test_a_document_is_read_as_pyyaml_reads_it(data: bytes | str) -> None:
    expected = outcome(lambda given: yaml.load(given, Loader=unique_keys.UniqueKeysLoader), data)
    assert outcome(unique_keys.load, data) == expected
