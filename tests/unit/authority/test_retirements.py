"""A provider's dates become withdrawals that begin then: warned of before, never lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from sidecar.authority import home as authority
from sidecar.authority.errors import AuthorityError
from sidecar.authority.open_home import Home
from sidecar.authority.retirements import Change, RetirementList, announce, read_list
from sidecar.core.documents import Withdrawal, WithdrawalKind
from tests.unit.authority.helpers import DAY, Pin
from tests.unit.authority.reader import NOW

MAY = datetime(2027, 5, 1, tzinfo=UTC)
JUNE = datetime(2027, 6, 1, tzinfo=UTC)


def ending(model: str, at: datetime, reason: str = "retired by azure") -> Withdrawal:
    return Withdrawal(WithdrawalKind.BASE_MODEL, f"azure/{model}", reason, at)


CSV = b"model,date,reason\ngpt-4o-2024-08-06,2027-05-01,use gpt-4.1\ngpt-4.1,2027-06-01,\no9,,\n"
AZURE = json.dumps(
    {
        "data": [
            {
                "id": "gpt-4o-2024-08-06",
                "object": "model",
                "lifecycle_status": "generally-available",
                "deprecation": {"fine_tune": 1, "inference": int(MAY.timestamp())},
            },
            {"id": "o9", "object": "model", "deprecation": {"inference": 0}},
        ]
    }
).encode()
BEDROCK = json.dumps(
    {
        "modelSummaries": [
            {
                "modelId": "amazon.nova-micro-v1:0",
                "modelLifecycle": {"status": "LEGACY", "endOfLifeTime": "2027-06-01T00:00:00Z"},
            },
            {"modelId": "amazon.nova-pro-v1:0", "modelLifecycle": {"status": "ACTIVE"}},
        ]
    }
).encode()


def test_each_form_of_a_list_is_read() -> None:
    assert read_list(CSV, "azure") == RetirementList(
        (ending("gpt-4o-2024-08-06", MAY, "use gpt-4.1"), ending("gpt-4.1", JUNE)), 1
    )
    assert read_list(AZURE, "azure") == RetirementList((ending("gpt-4o-2024-08-06", MAY),), 1)
    nova = Withdrawal(
        WithdrawalKind.BASE_MODEL, "bedrock/amazon.nova-micro-v1:0", "retired by bedrock", JUNE
    )
    assert read_list(BEDROCK, "bedrock") == RetirementList((nova,), 1)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"name,when\n", "has no column date and model"),
        (b"model,date\ngpt-4o,soon\n", "line 2: 'soon' is not a date such as 2027-01-14"),
        (b"model,date\ngpt-4o,2027-01-01T00:00:00\n", "a time needs its offset"),
        (b"model,date\ngpt-4o\n", "line 2: expected model, date"),
        (b"model,date\ngpt-4o,2027-01-01\ngpt-4o,2027-01-02\n", "listed before with another date"),
        (b"model,date\ngpt-*,2027-01-01\n", "names models, not patterns"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b'{"models": []}', "neither data nor modelSummaries"),
        (b'{"data": [{"name": "x"}]}', r"data\.0: has no id"),
        (b'{"data": [1], "data": []}', "the list is not JSON"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_read_is_refused_whole(data: bytes, why: str) -> None:
    with pytest.raises(AuthorityError, match=why):
        read_list(data, "azure")


def changes(home: Home, *wanted: Withdrawal, postpone: bool = False) -> list[Change]:
    done = announce(home, wanted, NOW, postpone=postpone)
    return [change for _, change, _ in done.changes]


def test_a_list_is_published_in_one_edition_and_once(acme: Home, pinned: Pin) -> None:
    reader = pinned(acme)
    wanted = read_list(CSV, "azure").entries
    assert announce(acme, wanted, NOW, dry_run=True).publication is None
    assert changes(acme, *wanted) == [Change.NEW, Change.NEW]
    assert reader.documents("acme")[1].entries == wanted
    assert announce(acme, wanted, NOW).publication is None
    assert changes(acme, *wanted) == [Change.SAME, Change.SAME]


def test_a_date_moves_forward_and_back_only_when_asked_to_and_never_once_in_force(
    acme: Home,
) -> None:
    begun = ending("o9", NOW - DAY)
    assert changes(acme, ending("gpt-4.1", JUNE), begun) == [Change.NEW, Change.NEW]
    assert changes(acme, ending("gpt-4.1", MAY)) == [Change.EARLIER]
    assert changes(acme, ending("gpt-4.1", JUNE)) == [Change.KEPT]
    assert authority.describe(acme).withdrawals == (begun, ending("gpt-4.1", MAY))
    assert changes(acme, ending("gpt-4.1", JUNE), ending("o9", JUNE), postpone=True) == [
        Change.POSTPONED,
        Change.KEPT,
    ]
    assert authority.describe(acme).withdrawals == (begun, ending("gpt-4.1", JUNE))


def test_a_model_that_is_no_longer_listed_stays_withdrawn(acme: Home) -> None:
    changes(acme, ending("gpt-4.1", JUNE))
    changes(acme, ending("o9", MAY))
    assert authority.describe(acme).withdrawals == (ending("gpt-4.1", JUNE), ending("o9", MAY))
