"""Computes the similarity of two texts: the longest common subsequence, normalised."""

from __future__ import annotations

from sidecar.evaluation.errors import EvaluationError

MAX_CHARACTERS = 100_000


def fuzzy_match(left: str, right: str) -> float:
    """Return ``2 · LCS / (len(left) + len(right))``: 1 for equal texts, 0 for nothing in common.

    This is the normalised indel similarity (``fuzz.ratio`` of rapidfuzz, as a fraction). The
    longest common subsequence is computed bit-parallel (Hyyrö, "Bit-parallel LCS-length
    computation revisited", 2004).

    Raises:
        EvaluationError: A text is longer than ``MAX_CHARACTERS``.
    """
    if max(len(left), len(right)) > MAX_CHARACTERS:
        raise EvaluationError(f"a text is longer than {MAX_CHARACTERS} characters")
    if not left and not right:
        return 1.0
    places: dict[str, int] = {}
    for position, character in enumerate(left):
        places[character] = places.get(character, 0) | 1 << position
    everything = (1 << len(left)) - 1
    row = everything
    for character in right:
        matched = row & places.get(character, 0)
        row = ((row + matched) | (row - matched)) & everything
    common = len(left) - row.bit_count()
    return 2 * common / (len(left) + len(right))
