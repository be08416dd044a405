from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, timedelta, timezone
from pathlib import Path

import pytest
from tuf.api.exceptions import ExpiredMetadataError

from sidecar.authority import home as authority
from sidecar.authority.errors import AuthorityError
from sidecar.authority.open_home import Home, Publication
from sidecar.authority.settings import Periods
from sidecar.core.documents import (
    Withdrawal,
    WithdrawalKind,
)
from tests.unit.authority.helpers import DAY, Pin, key_file, withdrawn
from tests.unit.authority.reader import NOW


def test_silence_makes_readers_refuse_until_the_next_heartbeat(tmp_path: Path, pinned: Pin) -> None:
    home = authority.init(tmp_path / "h", "acme", now=NOW - 2 * DAY)
    reader = pinned(home)
    with pytest.raises(ExpiredMetadataError):
        reader.read()
    done = authority.publish(home, NOW)
    assert done == Publication(2, NOW + DAY, ("timestamp",), ())
    assert reader.documents("acme")[1] == withdrawn()


def test_a_heartbeat_needs_no_key_but_the_online_key(acme: Home, pinned: Pin) -> None:
    for role in ("root", "targets", "attestation"):
        key_file(acme, role).unlink()
    assert authority.publish(acme, NOW).renewed == ("timestamp",)
    # Five days on the snapshot has less than a third of its week left.
    assert authority.publish(acme, NOW + 5 * DAY).renewed == ("snapshot", "timestamp")
    assert pinned(acme).documents("acme")[1] == withdrawn()


def test_a_heartbeat_renews_what_will_expire_while_the_keys_are_there(
    acme: Home, pinned: Pin
) -> None:
    later = NOW + 300 * DAY
    done = authority.publish(acme, later)
    assert done == Publication(2, later + DAY, ("targets", "snapshot", "root", "timestamp"), ())
    assert authority.describe(acme).versions == {
        "root": 2,
        "targets": 2,
        "snapshot": 2,
        "timestamp": 2,
    }
    assert pinned(acme).documents("acme")[1] == withdrawn()


def test_an_offline_key_that_is_due_warns_and_does_not_stop_the_heartbeat(acme: Home) -> None:
    path = key_file(acme, "targets")
    path.unlink()
    done = authority.publish(acme, NOW + 70 * DAY)
    assert done == Publication(
        2,
        NOW + 71 * DAY,
        ("snapshot", "timestamp"),
        (
            f"targets expires at {(NOW + 90 * DAY).isoformat()} and could not be renewed: "
            f"key file {path}: No such file or directory",
        ),
    )


def test_a_heartbeat_warns_before_the_attestation_key_ends(acme: Home) -> None:
    done = authority.publish(acme, NOW + 701 * DAY)
    assert done.warnings == (
        f"the attestation key's window ends at {(NOW + 730 * DAY).isoformat()}: rotate it and "
        "re-sign what should outlive it (admit authority rotate attestation; admit resign)",
    )


def test_readers_follow_every_rotation_from_the_first_root(acme: Home, pinned: Pin) -> None:
    early = pinned(acme)
    early.read()
    order = ["online", "root", "targets", "root", "attestation", "online", "root"]
    renewed = [authority.rotate(acme, which, NOW).renewed for which in order]
    assert renewed == [
        ("snapshot", "root", "timestamp"),
        ("root", "timestamp"),
        ("targets", "snapshot", "root", "timestamp"),
        ("root", "timestamp"),
        ("targets", "snapshot", "timestamp"),
        ("snapshot", "root", "timestamp"),
        ("root", "timestamp"),
    ]
    authority.withdraw(acme, WithdrawalKind.RUN, "ftjob-1", "tainted", None, NOW)
    expected = withdrawn(Withdrawal(WithdrawalKind.RUN, "ftjob-1", "tainted"))
    assert early.documents("acme")[1] == expected
    assert pinned(acme).documents("acme")[1] == expected
    assert authority.describe(acme).versions["root"] == 7


def test_a_new_root_is_signed_by_the_old_and_the_new_key(acme: Home) -> None:
    old = authority.describe(acme).keys["root"].public()
    authority.rotate(acme, "root", NOW)
    new = authority.describe(acme).keys["root"].public()
    second = json.loads((acme.repository / "metadata/2.root.json").read_bytes())
    assert {entry["keyid"] for entry in second["signatures"]} == {old.keyid, new.keyid}
    assert second["signed"]["roles"]["root"] == {"keyids": [new.keyid], "threshold": 1}
    # The old key is needed no more, not even for the next root.
    key_file(acme, "root").unlink()
    authority.rotate(acme, "root", NOW)


def test_a_rotation_without_the_old_root_key_changes_nothing(acme: Home, pinned: Pin) -> None:
    key_file(acme, "root").unlink()
    before = authority.describe(acme)
    with pytest.raises(AuthorityError, match=r"root-[0-9a-f]{12}\.pem: No such file"):
        authority.rotate(acme, "root", NOW)
    assert authority.describe(acme) == before
    assert pinned(acme).documents("acme")[1] == withdrawn()


def test_a_lost_online_key_is_replaced_without_the_targets_key(acme: Home, pinned: Pin) -> None:
    key_file(acme, "online").unlink()
    key_file(acme, "targets").unlink()
    authority.rotate(acme, "online", NOW)
    assert pinned(acme).documents("acme")[1] == withdrawn()


def test_periods_changed_by_hand_take_effect_with_the_next_heartbeat(acme: Home) -> None:
    path = acme.path / "authority.yaml"
    path.write_text(path.read_text().replace("timestamp: 1d", "timestamp: 90m"))
    assert authority.publish(acme, NOW).expires == NOW + timedelta(minutes=90)
    assert authority.describe(acme).periods == replace(Periods(), timestamp=timedelta(minutes=90))


def test_times_of_other_zones_are_published_in_utc(acme: Home) -> None:
    done = authority.publish(acme, NOW.astimezone(timezone(timedelta(hours=-8))))
    assert done.expires == NOW + DAY
    assert done.expires.tzinfo is UTC


def test_only_the_four_keys_can_be_rotated(acme: Home) -> None:
    with pytest.raises(AuthorityError, match="no such key: snapshot; there are root, targets"):
        authority.rotate(acme, "snapshot", NOW)
