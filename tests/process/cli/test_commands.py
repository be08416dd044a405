from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sidecar.cli import main
from sidecar.core import dsse
from sidecar.core.evidence import parse_statement
from sidecar.core.keys import PublicKey
from sidecar.core.predicates import Manifest
from tests.process.cli.admit import PROGRAM, admit, told
from tests.process.cli.parties import ENVIRONMENT, Parties
from tests.support.simulator.svid import Issuer
from tests.unit.authority.endpoint import bundle
from tests.unit.binding.samples import CHECKPOINT, MODEL

DIGEST = "ab" * 32
FIXED = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)


@pytest.fixture(scope="module")
def manifest(parties: Parties, job: Path) -> str:
    return parties.bind(job)["file"]


def refused(*arguments: object, **variables: str) -> str:
    """Run a command that must fail, and return its one line."""
    done = admit(*arguments, code=2, **variables)
    text = done.stderr.decode()
    assert done.stdout == b""
    assert text.count("\n") == 1
    assert text.startswith("admit: ")
    return text.removeprefix("admit: ").rstrip("\n")


def test_help_lists_every_command() -> None:
    shown = CliRunner().invoke(main.app, ["--help"], prog_name="admit")
    assert shown.exit_code == 0
    for name, _, _ in main.COMMANDS:
        assert name in shown.output


@pytest.mark.parametrize("name", [name for name, _, _ in main.COMMANDS])
def test_every_command_in_the_table_explains_itself(name: str) -> None:
    shown = CliRunner().invoke(main.app, [name, "--help"], prog_name="admit")
    assert shown.exit_code == 0
    assert f"Usage: admit {name}" in shown.output


def test_the_version_is_that_of_the_package() -> None:
    assert admit("--version").stdout == b"admit 0.1.0\n"


def test_an_unknown_command_is_a_usage_error() -> None:
    assert b"No such command 'frobnicate'" in admit("frobnicate", code=2).stderr


def test_an_error_that_nobody_foresaw_is_one_line_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(home: object, now: object) -> None:
        raise ZeroDivisionError("one\ntwo")

    monkeypatch.setattr("sidecar.authority.home.load", lambda _: None)
    monkeypatch.setattr("sidecar.authority.home.publish", broken)
    assert main.run(["authority", "publish", "--home", "x"]) == 2
    assert capsys.readouterr().err == (
        "admit: internal error: ZeroDivisionError: one two (set ADMIT_TRACEBACK=1 to see where)\n"
    )
    monkeypatch.setenv("ADMIT_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        main.run(["authority", "publish", "--home", "x"])


def test_show_tells_keys_metadata_and_withdrawals(tmp_path: Path) -> None:
    home = tmp_path / "h"
    made = told("authority", "init", "acme", "--dir", home, "--period", "timestamp=6h")
    pem = admit("authority", "show", "--pem", "--home", home).stdout.decode()
    assert made["name"] == "acme"
    assert made["key"] == PublicKey.from_pem(pem).fingerprint
    admit("withdraw", "corpus", DIGEST, "--reason", "poisoned", "--home", home)
    shown = told("authority", "show", "--home", home)
    assert [(e["kind"], e["subject"], e["reason"]) for e in shown["withdrawals"]] == [
        ("corpus", DIGEST, "poisoned")
    ]
    versions = {name: part["version"] for name, part in shown["metadata"].items()}
    assert versions == {"root": 1, "targets": 2, "snapshot": 2, "timestamp": 2}
    assert shown["keys"]["attestation"]["fingerprint"] == made["key"]
    for columns in ("200", "80"):
        table = admit("authority", "show", "--home", home, COLUMNS=columns).stdout.decode()
        for text in ("acme", "poisoned", DIGEST, made["key"], "6h"):
            assert text in table


def test_the_root_an_operator_pins_stays_the_first_one(tmp_path: Path) -> None:
    home = tmp_path / "h"
    admit("authority", "init", "acme", "--dir", home)
    first = admit("authority", "show", "--root", "--home", home).stdout
    told("authority", "rotate", "root", "--home", home)
    assert admit("authority", "show", "--root", "--home", home).stdout == first
    assert json.loads(first)["signed"]["version"] == 1


def test_trust_domains_are_added_replaced_and_removed_one_by_one(
    tmp_path: Path, parties: Parties
) -> None:
    home = tmp_path / "h"
    jwks = parties.folder / "jwks.json"
    admit("authority", "init", "acme", "--dir", home)
    for name in ("one.example", "two.example", "one.example"):
        told("authority", "trust-domain", name, "--jwks", jwks, "--home", home)
    shown = told("authority", "show", "--home", home)["trust_domains"]
    assert [domain["name"] for domain in shown] == ["two.example", "one.example"]
    told("authority", "trust-domain", "two.example", "--remove", "--home", home)
    shown = told("authority", "show", "--home", home)["trust_domains"]
    assert [domain["name"] for domain in shown] == ["one.example"]
    again = ("authority", "trust-domain", "two.example", "--remove", "--home", home)
    assert refused(*again) == "trust domain two.example is not published"


def test_a_bundle_is_followed_once_and_until_it_is_stopped(tmp_path: Path) -> None:
    home, path, issuer = tmp_path / "h", tmp_path / "bundle.json", Issuer("acme.example")
    path.write_bytes(bundle(issuer, spiffe_sequence=1))
    admit("authority", "init", "acme", "--dir", home)
    follow = ("authority", "follow-bundle", "acme.example", "--file", path, "--home", home)
    assert told(*follow, "--once") == {
        "bundle": "1 X.509 roots, 1 JWT keys, sequence 1",
        "trust_domain": "acme.example",
        "published": 2,
        "sequence": 1,
        "skipped": [],
    }
    assert told(*follow, "--once")["published"] is None
    publish = ("authority", "trust-domain", "acme.example", "--bundle", path, "--home", home)
    assert told(*publish)["warnings"] == []
    (shown,) = told("authority", "show", "--home", home)["trust_domains"]
    assert (len(shown["jwks"]["keys"]), len(shown["x509Roots"])) == (1, 1)
    unusable = path.with_name("unusable.json")
    unusable.write_text(json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "ed"}]}))
    assert refused(*publish[:4], unusable, *publish[5:]) == (
        "trust domain acme.example: no key is usable, so nothing was changed: JWK 'ed' was left"
        " out: the public key cannot be parsed"
    )
    with subprocess.Popen(
        [PROGRAM, *map(str, follow), "--refresh", "1s"], stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        try:
            lines = iter(running.stderr.readline, "")
            assert "acme.example: unchanged (1 X.509 roots" in next(lines)
            fresh = tmp_path / "fresh.json"
            fresh.write_bytes(bundle(Issuer("acme.example"), spiffe_sequence=2))
            fresh.replace(path)
            assert any("acme.example: published version 4" in line for line in lines)
            running.terminate()
            assert running.wait(30) == 0
        finally:
            running.kill()
    assert refused("authority", "follow-bundle", "acme.example", "--home", home) == (
        "give one of --file, --url and --workload-api"
    )


def test_an_authority_signs_only_what_it_was_made_for(tmp_path: Path, manifest: str) -> None:
    home = tmp_path / "h"
    admit("authority", "init", "acme", "--dir", home, "--may-sign", "result")
    said = refused(
        *("approve", manifest, "--role", "regulator", "--jurisdiction", "eu"),
        *("--environment", ENVIRONMENT, "--operation", "chat.completions", "--home", home),
    )
    assert said == (
        "the attestation key may not sign urn:admissibility:approval:v1; it may sign"
        " https://in-toto.io/attestation/test-result/v0.1"
    )


def test_a_loose_key_file_stops_the_command_with_one_line(tmp_path: Path) -> None:
    home = tmp_path / "h"
    admit("authority", "init", "acme", "--dir", home)
    for path in (home / "keys").iterdir():
        path.chmod(0o640)
    assert "has mode 0640: group or others may use it; chmod 0600 it" in refused(
        "authority", "publish", "--home", home
    )


def test_the_producer_cannot_countersign_its_own_manifest(
    tmp_path: Path, parties: Parties, manifest: str
) -> None:
    path = tmp_path / "results.json"
    path.write_text("[]")
    said = refused(
        *("result", manifest, "--results", path, "--home", parties.home("tuning-lab")),
    )
    assert said == "tuning-lab signed this manifest itself: another authority must evaluate"


def test_a_manifest_by_another_key_than_expected_is_not_approved(
    tmp_path: Path, parties: Parties, manifest: str
) -> None:
    arguments = (
        *("approve", manifest, "--role", "customer", "--jurisdiction", "eu"),
        *("--environment", ENVIRONMENT, "--operation", "chat.completions"),
        *("--out", tmp_path, "--home", parties.home("acme-risk")),
    )
    for name, right in (("tuning-lab", True), ("model-host", False)):
        pem = tmp_path / f"{name}.pem"
        home = parties.home(name)
        pem.write_bytes(admit("authority", "show", "--pem", "--home", home).stdout)
        if right:
            assert told(*arguments, "--signed-by", pem)["role"] == "customer"
        else:
            said = refused(*arguments, "--signed-by", pem)
            assert said == f"{manifest}: not signed by the key in {pem}"


def test_the_same_approval_by_two_authorities_is_kept_twice(
    tmp_path: Path, parties: Parties, monkeypatch: pytest.MonkeyPatch, manifest: str
) -> None:
    monkeypatch.setattr("sidecar.cli.common.now", lambda: FIXED)
    for name in ("acme-risk", "model-host"):
        arguments = [
            *("approve", manifest, "--role", "customer", "--jurisdiction", "eu"),
            *("--environment", ENVIRONMENT, "--operation", "chat.completions"),
            *("--out", str(tmp_path), "--home", str(parties.home(name))),
        ]
        assert main.run(arguments) == 0
        assert main.run(arguments) == 0
    found = sorted(path.name for path in tmp_path.iterdir())
    assert len(found) == 2
    assert found[0].replace(".dsse.json", "-2.dsse.json") in found or (
        found[1].replace(".dsse.json", "-2.dsse.json") in found
    )
    payloads = {dsse.parse((tmp_path / name).read_bytes()).payload for name in found}
    assert len(payloads) == 1


def test_a_checkpoint_is_bound_under_its_own_name(
    tmp_path: Path, parties: Parties, job: Path
) -> None:
    bound = told(
        *("bind", job / "job.json", "--training", job / "training.jsonl"),
        *("--validation", job / "validation.jsonl", "--checkpoint", job / "checkpoint.json"),
        *("--envelope", job / "envelope.yaml", "--environments", job / "environments.yaml"),
        *("--out", tmp_path, "--home", parties.home("tuning-lab")),
    )
    assert bound["model"] == CHECKPOINT["fine_tuned_model_checkpoint"]


def test_a_second_manifest_supersedes_the_first_and_asks_for_more(
    tmp_path: Path, parties: Parties, job: Path, manifest: str
) -> None:
    bound = told(
        *("bind", job / "job.json", "--training", job / "training.jsonl"),
        *("--validation", job / "validation.jsonl", "--supersedes", manifest),
        *("--require-role", "auditor", "--require-role", "customer", "--shutdown", "2099-01-14"),
        *("--envelope", job / "envelope.yaml", "--environments", job / "environments.yaml"),
        *("--out", tmp_path, "--home", parties.home("tuning-lab")),
    )
    envelope = dsse.parse(Path(bound["file"]).read_bytes())
    found = parse_statement(envelope.payload).predicate
    assert isinstance(found, Manifest)
    assert found.supersedes is not None
    assert found.supersedes.sha256 == dsse.parse(Path(manifest).read_bytes()).digest
    assert found.approvals.required == ("provider", "customer", "regulator", "auditor")
    assert found.model.id == MODEL
    assert str(found.model.shutdown) == "2099-01-14 00:00:00+00:00"
    assert [corpus.name for corpus in found.corpora] == [
        "file-train:training.jsonl",
        "file-valid:validation.jsonl",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("authority", "show"), "{home} holds no authority; create one with: admit authority init"),
        (("authority", "init", "Acme"), "'Acme' is not a name for an authority"),
        (
            ("authority", "init", "acme", "--period", "x=1d"),
            "--period x=1d: there are attestation,",
        ),
        (("authority", "init", "acme", "--period", "root=1"), "'1' is not a period such as 90d"),
        (
            ("authority", "init", "acme", "--root-public-key", "x"),
            "root: a public key without its URI",
        ),
        (
            ("authority", "init", "acme", "--root-key-uri", "hsm:2"),
            "hsm:2: give its public key (PEM)",
        ),
        (
            ("authority", "init", "acme", "--root-key-uri", "file2:/nowhere/k.pem"),
            "key file /nowhere/k.pem: No such file or directory",
        ),
        (("withdraw", "run", "x"), "{home} holds no authority"),
        (
            (
                "bind",
                "nothing.json",
                *("--training", "t", "--envelope", "e", "--environments", "v"),
            ),
            "nothing.json: No such file",
        ),
        (
            (
                "approve",
                "nothing.json",
                *("--role", "r", "--jurisdiction", "eu", "--environment", "e", "--operation", "o"),
            ),
            "nothing.json: No such file",
        ),
        (("result", "nothing.json", "--results", "r.json"), "nothing.json: No such file"),
        (
            ("result", "nothing.json", "--results", "r.json", "--performed", "2999-01-01"),
            "--performed lies in the future",
        ),
        (
            ("result", "nothing.json", "--results", "r.json", "--performed", "soon"),
            "--performed: 'soon' is not a date",
        ),
        (
            ("result", "nothing.json", "--results", "r.json", "--performed", "2026-01-01T00:00:00"),
            "--performed: a time needs its offset",
        ),
        (
            (
                *("declare", "environment", "acme", "--jurisdiction", "eu", "--sector", "s"),
                *("--purpose", "p", "--risk-class", "r", "--owner", "o"),
            ),
            "environment 'acme': not a workload's SPIFFE ID; expected spiffe://TRUST-DOMAIN/PATH",
        ),
        (
            (
                *("declare", "environment", ENVIRONMENT, "--jurisdiction", "eu", "--sector", "s"),
                *("--purpose", "p", "--risk-class", "r", "--owner", "o", "--days", "0"),
            ),
            "--days 0.0: not a number of days from now on",
        ),
    ],
)
def test_a_mistake_is_reported_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    home = tmp_path / "h"
    said = refused(*arguments, "--home", home)
    assert said.startswith(message.format(home=home))
    assert not (home / "keys").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "x"), "a withdrawal needs its reason: give --reason"),
        (("run", "x", "--reinstate", "--reason", "y"), "--reinstate takes neither --reason nor"),
        (("run", "x", "--reinstate"), "run x is not withdrawn; see: admit authority show"),
        (("key", "x", "--reason", "y"), "a key is withdrawn by its fingerprint"),
    ],
)
def test_a_withdrawal_that_says_too_little_changes_nothing(
    parties: Parties, arguments: tuple[str, ...], message: str
) -> None:
    home = parties.home("model-host")
    before = told("authority", "show", "--home", home)
    assert refused("withdraw", *arguments, "--home", home).startswith(message)
    assert told("authority", "show", "--home", home) == before


def test_what_is_no_manifest_is_not_approved(tmp_path: Path, parties: Parties, job: Path) -> None:
    declared = parties.declare()["file"]
    for path, why in (
        (declared, f"{declared}: is evidence, but not a manifest"),
        (job / "job.json", "envelope: payloadType is not exactly application/vnd.in-toto+json"),
    ):
        said = refused(
            *("approve", path, "--role", "customer", "--jurisdiction", "eu"),
            *("--environment", ENVIRONMENT, "--operation", "completions"),
            *("--out", tmp_path, "--home", parties.home("acme-risk")),
        )
        assert said == why
    assert list(tmp_path.iterdir()) == []


def test_evidence_is_written_whole_and_readable_by_others(parties: Parties, manifest: str) -> None:
    assert oct(Path(manifest).stat().st_mode & 0o777) == "0o644"
    assert list(parties.evidence.glob(".*")) == []
