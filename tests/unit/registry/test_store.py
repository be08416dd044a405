"""The folder: what was written is found, for its environment, while it lasts, and not otherwise."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.core.window import Window
from sidecar.registry.errors import RegistryError, RegistryResult, UnregisteredError
from sidecar.registry.record import AdmittedUse, Key, Registration
from sidecar.registry.store import FORGOTTEN_AFTER, SKEW, RegistrationStore
from tests.support.simulator.constants import ENV, NOW
from tests.unit.registry.samples import KEY, MONTH, USE, files, registration, store

OTHER = "spiffe://acme.example/env/test"
TICK = timedelta(seconds=1)


def refused(
    kept: RegistrationStore, wanted: Key = KEY, environment: str = ENV, at: timedelta = TICK
) -> RegistryResult:
    with pytest.raises(UnregisteredError) as caught:
        kept.find(wanted, environment, NOW + at)
    return caught.value.result


def test_what_was_written_is_found_also_by_another_gate_with_the_key(tmp_path: Path) -> None:
    assert store(tmp_path).put(registration()) == registration()
    assert store(tmp_path).find(KEY, ENV, NOW) == registration()
    (path,) = files(tmp_path)
    assert (path.parent.name, path.name) == (KEY.digest[:2], f"{KEY.digest}.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_mtime == (NOW + MONTH).timestamp()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"provider": "azure"}, RegistryResult.MISSING),
        ({"api": "vllm"}, RegistryResult.MISSING),
        ({"kind": "file"}, RegistryResult.MISSING),
        ({"id": "resp_2"}, RegistryResult.MISSING),
    ],
)
def test_another_object_is_not_registered(
    tmp_path: Path, change: dict[str, str], expected: RegistryResult
) -> None:
    kept = store(tmp_path)
    kept.put(registration())
    assert refused(kept, replace(KEY, **change)) is expected


def test_another_environment_finds_nothing_that_counts(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.put(registration())
    assert refused(kept, environment=OTHER) is RegistryResult.FOREIGN


def test_a_registration_ends_to_the_second_and_does_not_begin_in_the_future(
    tmp_path: Path,
) -> None:
    kept = store(tmp_path)
    kept.put(registration())
    assert kept.find(KEY, ENV, NOW + MONTH - TICK) == registration()
    assert refused(kept, at=MONTH) is RegistryResult.EXPIRED
    assert kept.find(KEY, ENV, NOW - SKEW) == registration()
    assert refused(kept, at=-SKEW - TICK) is RegistryResult.INVALID


def _tampered(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"sig": "', b'"sig": "AAAA'))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _grown(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" " * (1 << 20))


def _link(path: Path) -> None:
    kept = path.rename(path.with_name("elsewhere"))
    path.symlink_to(kept)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [_tampered, _cut, _grown, _link, _fifo, _folder])
def test_what_cannot_be_believed_does_not_count_and_is_not_written_over(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    kept = store(tmp_path)
    kept.put(registration())
    (path,) = files(tmp_path)
    damage(path)
    facts = path.lstat()
    assert refused(kept) is RegistryResult.INVALID
    with pytest.raises(UnregisteredError) as caught:
        kept.put(registration())
    assert (caught.value.result, path.lstat()[:7]) == (RegistryResult.INVALID, facts[:7])


def test_one_object_s_registration_in_another_s_place_does_not_count(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.put(registration())
    kept.put(registration(id="resp_2"))
    first, second = (tmp_path / "registrations" / d[:2] / f"{d}.json" for d in _digests())
    first.write_bytes(second.read_bytes())
    assert refused(kept) is RegistryResult.INVALID


def _digests() -> tuple[str, str]:
    return KEY.digest, replace(KEY, id="resp_2").digest


def test_another_key_s_registration_does_not_count(tmp_path: Path) -> None:
    store(tmp_path, "other.pem").put(registration())
    assert refused(store(tmp_path)) is RegistryResult.INVALID


def test_an_object_that_is_named_twice_has_the_uses_of_both(tmp_path: Path) -> None:
    kept, later = store(tmp_path), timedelta(hours=1)
    kept.put(registration())
    more = AdmittedUse("responses", ("another",))
    fresh = registration(
        uses=(more,), window=Window(NOW + later, NOW + MONTH + later), decision="e" * 32
    )
    expected = registration(
        uses=(USE, more), window=Window(NOW, NOW + MONTH + later), decision="e" * 32
    )
    assert kept.put(fresh) == expected
    assert kept.find(KEY, ENV, NOW) == expected
    assert len(files(tmp_path)) == 1


def test_an_object_of_another_environment_is_not_taken_over(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.put(registration())
    with pytest.raises(UnregisteredError) as caught:
        kept.put(registration(environment=OTHER))
    assert caught.value.result is RegistryResult.FOREIGN
    assert kept.find(KEY, ENV, NOW) == registration()


def test_nothing_is_lost_when_many_write_at_once(tmp_path: Path) -> None:
    kept = [store(tmp_path) for _ in range(4)]
    uses = [AdmittedUse("responses", (f"m-{number}",)) for number in range(32)]

    def put(number: int) -> Registration:
        return kept[number % 4].put(registration(uses=(uses[number],)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(32)))
    assert set(kept[0].find(KEY, ENV, NOW).uses) == set(uses)
    assert len(files(tmp_path)) == 1


def test_a_registration_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.put(registration())
    uses = tuple(AdmittedUse(f"op-{number}", ("m" * 512,) * 64) for number in range(64))
    with pytest.raises(Exception, match="at most 1048576"):
        kept.put(registration(uses=uses))
    assert kept.find(KEY, ENV, NOW) == registration()
    assert len(files(tmp_path)) == 1


def test_sweeping_takes_what_expired_a_while_ago_and_nothing_else(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.put(registration())
    kept.put(registration(id="resp_2", window=Window(NOW, NOW + 2 * MONTH)))
    left_behind = files(tmp_path)[0].with_name("0" * 32 + ".new")
    left_behind.write_bytes(b"{")
    os.utime(left_behind, (NOW.timestamp(), NOW.timestamp()))
    assert kept.sweep(NOW + FORGOTTEN_AFTER) == 0
    assert kept.sweep(NOW + FORGOTTEN_AFTER + TICK) == 1
    assert refused(kept, at=MONTH) is RegistryResult.EXPIRED
    assert kept.sweep(NOW + MONTH + FORGOTTEN_AFTER + TICK) == 1
    assert refused(kept, at=MONTH) is RegistryResult.MISSING
    assert kept.find(replace(KEY, id="resp_2"), ENV, NOW).id == "resp_2"


def test_where_unregistered_inputs_pass_an_expired_one_still_says_whose_it_is(
    tmp_path: Path,
) -> None:
    kept = replace(store(tmp_path), kept=frozenset({"file"}))
    file = replace(KEY, kind="file")
    kept.put(registration())
    kept.put(registration(kind="file"))
    broken = replace(KEY, kind="file", id="file-broken")
    kept.put(registration(kind="file", id=broken.id))
    path = tmp_path / "registrations" / broken.digest[:2] / f"{broken.digest}.json"
    path.write_bytes(b"{")
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    left_behind = path.with_name("0" * 32 + ".new")
    left_behind.write_bytes(b"{")
    os.utime(left_behind, (NOW.timestamp(), NOW.timestamp()))

    later = MONTH + FORGOTTEN_AFTER + TICK
    for wait in (later, later + MONTH, later + 12 * MONTH):
        kept.sweep(NOW + wait)
        assert refused(kept, file, OTHER, wait) is RegistryResult.FOREIGN
        assert refused(kept, file, ENV, wait) is RegistryResult.EXPIRED
        assert refused(kept, broken, OTHER, wait) is RegistryResult.INVALID
        assert refused(kept, at=wait) is RegistryResult.MISSING
    assert not left_behind.exists()
    assert store(tmp_path).sweep(NOW + later + 24 * MONTH) == 2


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "registrations"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(RegistryError, match="other users may write to it"):
        store(tmp_path)


def test_a_file_in_the_folder_s_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "registrations").write_text("")
    with pytest.raises(RegistryError, match="registration folder"):
        store(tmp_path)
