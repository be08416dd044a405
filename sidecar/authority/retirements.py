"""Announces the retirement dates of a provider's models, as withdrawals with a future time.

A list is one of

* CSV with the columns ``model`` and ``date``, and ``reason`` if there is one;
* the reply of Azure OpenAI's *Models - List* (``GET /openai/models``): ``data[].id`` and
  ``deprecation.inference``, in seconds since 1970;
* the reply of Amazon Bedrock's ``ListFoundationModels``: ``modelSummaries[].modelId`` and
  ``modelLifecycle.endOfLifeTime``, RFC 3339.

Each host has its own dates for the same model, so a subject is ``provider/id``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sidecar.authority.errors import AuthorityError
from sidecar.authority.open_home import Home, Publication, instant, locked_home, publish_changes
from sidecar.authority.subjects import normalised
from sidecar.authority.withdrawing import begins_earlier, entries_for
from sidecar.core import strict_json
from sidecar.core.documents import Withdrawal, WithdrawalKind
from sidecar.core.window import parse_instant

MAX_LIST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class RetirementList:
    """The entries of a list, one for each model with a date, and how many have none."""

    entries: tuple[Withdrawal, ...]
    undated: int


class Change(StrEnum):
    """What an entry of a list does to what is published."""

    NEW = "new"
    EARLIER = "earlier"
    POSTPONED = "postponed"
    KEPT = "later, kept"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Announced:
    """What a list changed.

    Attributes:
        changes: Each entry, what it does, and from when on it was published before.
        publication: ``None`` where nothing changed, or was to be changed.
    """

    changes: tuple[tuple[Withdrawal, Change, datetime | None], ...]
    publication: Publication | None


def read_list(data: bytes, provider: str) -> RetirementList:
    """Parse a list.

    Args:
        data: At most ``MAX_LIST_BYTES``.
        provider: The gate's name of the host, such as ``azure`` or ``bedrock``.

    Raises:
        AuthorityError: It is none of the known forms, a date cannot be read, or a model is listed
            twice with different dates.
    """
    rows = _json_rows(data) if data.lstrip()[:1] == b"{" else _csv_rows(data)
    found: dict[str, Withdrawal] = {}
    undated = 0
    for where, model, date, reason in rows:
        at = _date(date, where)
        if at is None:
            undated += 1
            continue
        subject = normalised(WithdrawalKind.BASE_MODEL, f"{provider}/{model}")
        if "*" in subject:
            raise AuthorityError(f"{where}: model {model!r}: a list names models, not patterns")
        entry = Withdrawal(
            WithdrawalKind.BASE_MODEL, subject, reason or f"retired by {provider}", at
        )
        known = found.setdefault(subject, entry)
        if known.effective != at:
            raise AuthorityError(f"{where}: {model} is listed before with another date")
    return RetirementList(tuple(found.values()), undated)


def announce(
    home: Home,
    wanted: Iterable[Withdrawal],
    now: datetime,
    *,
    postpone: bool = False,
    dry_run: bool = False,
) -> Announced:
    """Publish the entries of a list in one edition.

    A model that is no longer listed stays withdrawn: only ``reinstate`` takes a withdrawal back.

    Args:
        home: The authority's home.
        wanted: Entries with a time.
        now: Aware.
        postpone: Also move an announced end that is still ahead to a later date.
        dry_run: Return what would change, and publish nothing.

    Raises:
        AuthorityError: The home cannot be used.
    """
    now = instant(now)
    with locked_home(home.path) as opened:
        kept = list(opened.withdrawals.entries)
        changes = []
        for entry in wanted:
            known = entries_for(opened.withdrawals, entry)
            change = _change(entry, known, now, postpone=postpone)
            before = min((e.effective for e in known if e.effective is not None), default=None)
            changes.append((entry, change, before))
            if change in {Change.NEW, Change.EARLIER, Change.POSTPONED}:
                kept = [each for each in kept if each not in known]
                kept.append(entry)
        publication = None
        if not dry_run and tuple(kept) != opened.withdrawals.entries:
            document = replace(opened.withdrawals, entries=tuple(kept))
            publication = publish_changes(opened, replace(opened, withdrawals=document), now)
        return Announced(tuple(changes), publication)


def _change(
    entry: Withdrawal, known: tuple[Withdrawal, ...], now: datetime, *, postpone: bool
) -> Change:
    if not known:
        return Change.NEW
    if any(each.effective == entry.effective for each in known):
        return Change.SAME
    if all(begins_earlier(entry.effective, each.effective) for each in known):
        return Change.EARLIER
    ahead = all(each.effective is not None and each.effective > now for each in known)
    return Change.POSTPONED if postpone and ahead else Change.KEPT


_Row = tuple[str, str, Any, str]
"""Place in the list, the model, its date as written (``None`` for none), and the reason."""


def _csv_rows(data: bytes) -> Iterator[_Row]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AuthorityError(f"the list is not UTF-8 at byte {error.start}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    missing = {"model", "date"} - set(reader.fieldnames or ())
    if missing:
        raise AuthorityError(
            f"the list has no column {' and '.join(sorted(missing))}: expected CSV with the "
            "columns model and date (and reason), or the JSON reply of Azure OpenAI's or "
            "Bedrock's list of models"
        )
    try:
        for row in reader:
            where = f"line {reader.line_num}"
            if not row["model"] or None in row or row["date"] is None:
                raise AuthorityError(f"{where}: expected {', '.join(reader.fieldnames or ())}")
            yield where, row["model"].strip(), row["date"].strip() or None, row.get("reason") or ""
    except csv.Error as error:
        raise AuthorityError(f"line {reader.line_num}: {error}") from error


def _json_rows(data: bytes) -> Iterator[_Row]:
    try:
        value = strict_json.loads_object(data, max_bytes=MAX_LIST_BYTES)
    except strict_json.StrictJsonError as error:
        raise AuthorityError(f"the list is not JSON: {error}") from error
    for key, name, table, field in (
        ("data", "id", "deprecation", "inference"),
        ("modelSummaries", "modelId", "modelLifecycle", "endOfLifeTime"),
    ):
        if isinstance(value.get(key), list):
            for number, item in enumerate(value[key]):
                where = f"{key}.{number}"
                if not isinstance(item, dict) or not isinstance(item.get(name), str):
                    raise AuthorityError(f"{where}: has no {name}")
                dates = item.get(table)
                yield where, item[name], dates.get(field) if isinstance(dates, dict) else None, ""
            return
    raise AuthorityError("the list has neither data nor modelSummaries: expected a list of models")


def _date(value: Any, where: str) -> datetime | None:  # noqa: ANN401 - as a list has it
    """Return the instant of a date, of a time with its offset, or of seconds since 1970."""
    if value in (None, 0):
        return None
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        return parse_instant(str(value)).replace(microsecond=0)
    except (ValueError, OverflowError, OSError) as error:
        raise AuthorityError(f"{where}: {error}") from error
