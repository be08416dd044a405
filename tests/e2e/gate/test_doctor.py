"""``admit doctor`` before a real installation: all in order, then one thing at a time is not.

The whole report is compared each time: what is broken must be told, and nothing else.
"""

from __future__ import annotations

from datetime import timedelta

from admissibility_devtools.demo.authorities import REGULATOR
from sidecar.doctor.diagnosis import Diagnosis, fail, ok, warn
from sidecar.doctor.files import decision_log
from sidecar.doctor.gate import engine
from sidecar.opa import tree
from tests.process.policies.opa import POLICIES
from tests.support.site.doctor import HEALTHY, Report, alone, but, follows, report, told
from tests.support.site.processes import children, stalled
from tests.support.site.site import Site
from tests.support.site.stand import Stand
from tests.support.site.talk import until


def test_a_healthy_installation_is_in_order_throughout(whole: Site) -> None:
    assert report(whole) == HEALTHY


def test_a_policy_engine_that_does_not_answer(whole: Site) -> None:
    (engine,) = children(whole.pid, "opa")
    down = fail(
        "policy engine",
        "OPA does not answer the gate",
        "The gate restarts a managed OPA; see its log. Start an OPA at an address yourself.",
    )
    with stalled(engine):
        assert until(lambda: report(whole), but(down)) == but(down)


def test_a_key_that_others_may_read(whole: Site) -> None:
    key = whole.folder / "provider-credential.yaml"
    key.write_text("resources: []")
    key.chmod(0o600)
    assert report(whole, private=(key,)) == HEALTHY
    key.chmod(0o640)
    assert report(whole, private=(key,)) == but(
        fail(
            "permissions",
            "others may use HERE/provider-credential.yaml (0640)",
            "chmod 0600 the files (0700 the folders); replace a key that others could read.",
        )
    )


def test_files_that_others_may_change(whole: Site) -> None:
    (whole.folder / "trust.yaml").chmod(0o664)
    (whole.folder / "sidecar.yaml").chmod(0o646)
    assert report(whole) == but(
        fail(
            "permissions",
            "others may change HERE/sidecar.yaml (0646), HERE/trust.yaml (0664)",
            "chmod go-w them, and check their content.",
        )
    )


def test_a_state_folder_open_to_others(whole: Site) -> None:
    """The gate would not start again."""
    (whole.folder / "state").chmod(0o750)
    expected = but(
        fail(
            "trust",
            "HERE/trust.yaml: state: HERE/state is open to others (mode 0750); chmod 700 it",
            "Correct what it names; see `admit docs trust`.",
        ),
        fail(
            "permissions",
            "others may use HERE/state (0750)",
            "chmod 0600 the files (0700 the folders); replace a key that others could read.",
        ),
    )
    # The sources are those of a trust file that is valid.
    assert report(whole) == tuple(one for one in expected if one.name != "sources")


def test_an_authority_that_falls_silent(owned: Site) -> None:
    """First it warns, as long as the operator's own rhythm would hardly notice the end in time."""
    owned.trust["poll_seconds"] = 60
    owned.start().front()
    publish = "Have the authority publish again (admit authority publish)."
    name = f"authority {REGULATOR}"

    def with_regulator(found: Diagnosis) -> Report:
        return tuple(found if one.name == "authorities" else one for one in HEALTHY)

    soon = warn(name, "ends in N s, in less than two poll intervals", publish)
    over = fail(name, "ended at TIME: what relies on it is denied", publish)
    owned.set_silence(REGULATOR, timedelta(seconds=100))
    assert until(lambda: report(owned), with_regulator(soon)) == with_regulator(soon)
    owned.set_silence(REGULATOR, timedelta(seconds=2))
    assert until(lambda: report(owned), with_regulator(over)) == with_regulator(over)


def without_the_gate() -> Report:
    """What can still be said while nobody answers for the gate."""
    start = "Start it: admit serve --config FILE; its log says why it ended."
    inside = {
        "readiness",
        "policy engine",
        "policies",
        "authorities",
        "evidence",
        "trust domains",
    }
    changed = {
        "gate": fail("gate", "LOOPBACK: no answer (UNAVAILABLE)", start),
        "clock": ok("clock", "within 30 s of Envoy"),
        "ext_authz": ok("ext_authz", "ok N, denied N, error 2; none passed unasked"),
        "gate cluster": follows("gate", "gate cluster", "no cluster leads to the gate's port N"),
        "canary: a call": follows(
            "gate", "canary: a call", "POST /v1/chat/completions got 503, but not from the gate"
        ),
        "canary: an upload": follows(
            "gate", "canary: an upload", "POST /v1/files got 503, but not from the gate"
        ),
    }
    found = [changed.get(one.name, one) for one in HEALTHY if one.name not in inside]
    found.insert(6, follows("gate", "status", "LOOPBACK: Connection refused"))
    return tuple(found)


def test_a_stopped_gate_fails_every_check_that_needs_it(whole: Site) -> None:
    """It takes its ready file with it, so its ports are not known any more either."""
    assert whole.stop_gate() == 0
    assert report(whole) == without_the_gate()


def test_a_configuration_that_is_not_valid(whole: Site) -> None:
    """The rest is looked for where the reference configuration has it."""
    (whole.folder / "sidecar.yaml").write_text("trust: trust.yaml\nfail_open: true\n")
    found = report(whole)
    assert found[0] == fail(
        "configuration",
        "HERE/sidecar.yaml: fail_open: is not a known key; known here: audience, "
        "azure_body_model, credential_header, deadline_ms, decision_log, facts_log, gate_name, "
        "listen, max_body_bytes, max_body_bytes_in_flight, max_concurrent, max_credentials, "
        "and 12 more",
        "Correct what it names; `admit docs reference/configuration` has every key.",
    )
    assert "trust" not in {one.name for one in found}


def test_a_trust_file_that_is_not_valid(whole: Site) -> None:
    (whole.folder / "trust.yaml").write_text("version: 2\n")
    found = {one.name: one for one in report(whole)}
    assert found["trust"].state == "fail"
    assert found["trust"].detail.startswith("HERE/trust.yaml: ")
    others = {one.name for one in HEALTHY} - {"trust", "sources"}
    assert {name for name in others if found[name].state != "ok"} == set()


def test_an_opa_that_somebody_else_runs_is_asked_itself(owned: Site, stand: Stand) -> None:
    """The stage's own, over its socket; then none."""
    address = stand.stage.opa_socket
    served = tree.read(POLICIES).revision
    answers: list[Diagnosis] = []
    for url, revision in (
        (address, served),
        (address, "x"),
        ("unix:///nowhere/opa.sock", "x"),
        ("http://127.0.0.1:9", "x"),
    ):
        owned.settings["opa"] = {"address": url, "revision": revision}
        owned.write()
        answers += engine(alone(owned))
    remedy = "Start OPA, or correct opa.address."
    assert answers == [
        ok("OPA", f"{address} answers, with policies {served}"),
        fail(
            "OPA",
            f"{address} serves policies {served}; the gate denies every call",
            "opa.revision expects x: load that bundle, or correct it.",
        ),
        fail("OPA", "/nowhere/opa.sock: No such file or directory", remedy),
        fail("OPA", "127.0.0.1:9: Connection refused", remedy),
    ]


def test_a_decision_log_without_a_folder_or_grown_large(owned: Site) -> None:
    found: list[Diagnosis] = []
    for log in ("-", "nowhere/decisions.jsonl", "large.jsonl"):
        owned.settings["decision_log"] = log
        owned.write()
        found += told(owned, decision_log(alone(owned)))
        with (owned.folder / "large.jsonl").open("wb") as file:
            file.truncate(2 << 30)
    assert found == [
        ok("decision log", "the gate's standard output"),
        fail(
            "decision log",
            "HERE/nowhere/decisions.jsonl: No such file or directory",
            "Create its folder.",
        ),
        warn(
            "decision log",
            "HERE/large.jsonl: N MiB, room for N MiB",
            "Rotate it: rename it, and the gate opens a new one.",
        ),
    ]
