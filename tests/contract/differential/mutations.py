"""Valid bytes, spoiled in a few places: what a parser's author did not think of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

Spoil = Callable[[bytes], bytes]


def spoiled(
    seeds: st.SearchStrategy[bytes], tokens: Sequence[bytes], *, most: int = 3
) -> st.SearchStrategy[bytes]:
    """Bytes of ``seeds`` with up to ``most`` places changed; some are left as they are."""
    token = st.sampled_from(tokens) | st.binary(min_size=1, max_size=2)
    return st.builds(_apply, seeds, st.lists(_change(token), max_size=most))


def _change(token: st.SearchStrategy[bytes]) -> st.SearchStrategy[Spoil]:
    place, length = st.floats(0, 1, exclude_max=True), st.integers(1, 12)
    return (
        st.builds(_insert, place, token)
        | st.builds(_overwrite, place, token)
        | st.builds(_delete, place, length)
        | st.builds(_repeat, place, length, place)
    )


def _apply(seed: bytes, changes: list[Spoil]) -> bytes:
    for change in changes:
        seed = change(seed)
    return seed


def _insert(place: float, token: bytes) -> Spoil:
    def change(data: bytes) -> bytes:
        at = int(place * (len(data) + 1))
        return data[:at] + token + data[at:]

    return change


def _overwrite(place: float, token: bytes) -> Spoil:
    def change(data: bytes) -> bytes:
        at = int(place * (len(data) + 1))
        return data[:at] + token + data[at + len(token) :]

    return change


def _delete(place: float, length: int) -> Spoil:
    def change(data: bytes) -> bytes:
        at = int(place * (len(data) + 1))
        return data[:at] + data[at + length :]

    return change


def _repeat(source: float, length: int, target: float) -> Spoil:
    def change(data: bytes) -> bytes:
        at = int(source * (len(data) + 1))
        return _insert(target, data[at : at + length])(data)

    return change
