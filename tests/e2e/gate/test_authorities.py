"""Authorities and evidence that cannot be read: named, denied for, and nothing else goes down."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from admissibility_devtools.demo.authorities import EVALUATOR, GRANTS, LISTED_BASE, REGULATOR, now
from sidecar.authority import home as authority
from tests.support.site.site import Site
from tests.support.site.talk import told, until


def absent(repository: Path) -> None:
    shutil.rmtree(repository)


def not_signed(repository: Path) -> None:
    path = repository / "metadata" / "timestamp.json"
    value = json.loads(path.read_bytes())
    value["signed"]["version"] += 1
    path.write_text(json.dumps(value))


def endless(repository: Path) -> None:
    path = repository / "metadata" / "timestamp.json"
    path.unlink()
    os.mkfifo(path)


def huge(repository: Path) -> None:
    (repository / "metadata" / "timestamp.json").write_bytes(b" " * (1 << 20))


@pytest.mark.parametrize(
    "breaks", [absent, not_signed, endless, huge], ids=lambda breaks: breaks.__name__
)
def test_law_4_an_authority_that_was_never_heard_denies_in_its_scope(
    site: Site, breaks: Callable[[Path], None]
) -> None:
    breaks(site.organisations.homes[EVALUATOR].repository)
    site.start().front()
    standing = {item["name"]: item for item in site.status()["authorities"]}
    errors = {name: item["error"] is not None for name, item in standing.items()}
    assert errors == {name: name == EVALUATOR for name in GRANTS}
    assert standing[EVALUATOR] == {
        "name": EVALUATOR,
        "version": None,
        "expires": None,
        "refreshed": None,
        "age_seconds": standing[EVALUATOR]["age_seconds"],
        "error": standing[EVALUATOR]["error"],
        "stale": "was never verified",
        "withdrawals": 0,
        "grants": [{"role": "evaluator", "silence": "ignored"}],
    }
    assert failing(site) == {name: float(name == EVALUATOR) for name in GRANTS}
    talk = site.talk
    base = talk.body(model=LISTED_BASE)
    assert (talk.verdict(), told(talk.call(base))) == (
        (403, "preactivation_missing"),
        (503, "trust_stale"),
    )


def test_law_4_an_authority_that_was_heard_once_may_be_silent_where_it_signed_nothing(
    site: Site,
) -> None:
    """An evaluator's silence is ignored by default, but not by what rests on its signature."""
    site.start().front()
    assert site.talk.verdict() == (200, "admitted")
    site.stop_gate()
    absent(site.organisations.homes[EVALUATOR].repository)
    site.settings["listen"] = site.listen
    site.start()
    talk = site.talk
    base = talk.body(model=LISTED_BASE)
    assert until(lambda: told(talk.call(base)), (200, "admitted")) == (200, "admitted")
    assert talk.verdict() == (503, "trust_stale")


def failing(site: Site) -> dict[str, float]:
    """What the metrics say of each authority's last refresh."""
    text = requests.get(f"{site.metrics}/metrics", timeout=10).text
    return {
        sample.labels["authority"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "admissibility_trust_refresh_failing"
    }


def test_an_authority_that_is_mended_is_taken_up_without_a_restart(site: Site) -> None:
    repository = site.organisations.homes[EVALUATOR].repository
    aside = repository.with_name("aside")
    repository.rename(aside)
    site.start().front()
    assert site.talk.verdict() == (403, "preactivation_missing")
    aside.rename(repository)
    assert until(site.talk.verdict, (200, "admitted")) == (200, "admitted")
    assert failing(site) == dict.fromkeys(GRANTS, 0.0)


def test_evidence_that_cannot_be_read_denies_and_is_counted(site: Site) -> None:
    manifest = site.organisations.evidence / "manifest-v3.dsse.json"
    data = manifest.read_bytes()
    manifest.write_bytes(data.replace(b'"payload": "', b'"payload": "A'))
    site.start().front()
    assert (site.talk.verdict(), site.status()["evidence"]["rejected"]) == (
        (403, "manifest_missing"),
        1,
    )
    manifest.write_bytes(data)
    assert until(site.talk.verdict, (200, "admitted")) == (200, "admitted")


def test_no_folder_of_evidence_denies_until_there_is_one(site: Site) -> None:
    aside = site.organisations.evidence.with_name("aside")
    site.organisations.evidence.rename(aside)
    site.start().front()
    assert site.talk.verdict() == (403, "environment_unknown")
    aside.rename(site.organisations.evidence)
    assert until(site.talk.verdict, (200, "admitted")) == (200, "admitted")


def test_a_silent_authority_is_stale_and_its_next_word_admits(site: Site) -> None:
    """The evaluator's promise is four seconds; nothing but time makes the denial.

    A shorter one could be over before it is read, since metadata counts whole seconds; then it
    would not be taken up, and the promise before it would stand.
    """
    site.start().front()
    site.set_silence(EVALUATOR, timedelta(seconds=4))
    assert until(site.talk.verdict, (503, "trust_stale")) == (503, "trust_stale")
    site.set_silence(EVALUATOR, timedelta(days=1))
    assert until(site.talk.verdict, (200, "admitted")) == (200, "admitted")


def test_a_rotated_root_is_followed_from_the_pinned_one(site: Site) -> None:
    site.start().front()
    home = site.organisations.homes[REGULATOR]
    before = site.standing(REGULATOR)["version"]
    for which in ("root", "online", "targets"):
        authority.rotate(home, which, now())
    version = authority.describe(home).versions["timestamp"]
    assert version > before
    assert until(lambda: site.standing(REGULATOR)["version"], version) == version
    assert (site.standing(REGULATOR)["error"], site.talk.verdict()) == (None, (200, "admitted"))
