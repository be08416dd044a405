"""``admit doctor`` before a real installation: all in order, then one thing at a time is not.

The whole report is compared each time: what is broken must be told, and nothing else.
"""

from __future__ import annotations

import json
import os
import re
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sidecar.demo.authorities import REGULATOR, TRUST_DOMAIN
from sidecar.doctor.examine import CHECKS, examine
from sidecar.doctor.files import decision_log
from sidecar.doctor.finding import Finding, fail, ok, warn
from sidecar.doctor.gate import engine
from sidecar.doctor.subject import Subject, Tls, subject
from sidecar.toolchain.envoy_config import TlsFiles, reference
from tests.integration.support.processes import children, stalled
from tests.integration.support.site import Site, envoy_before
from tests.integration.support.spiffe import TrustDomain
from tests.integration.support.stand import Stand
from tests.integration.support.talk import until
from tests.policies.opa import copy_policies

Report = tuple[Finding, ...]

HEALTHY: Report = (
    ok("configuration", "HERE/sidecar.yaml is valid"),
    ok("trust", "5 authorities, each with a pinned root that is well signed"),
    ok("permissions", "state and keys are their owner's alone; nobody else may change the rest"),
    ok("decision log", "HERE/decisions.jsonl: N MiB, room for N MiB"),
    ok("gate", "LOOPBACK: SERVING"),
    ok("readiness", "ready, version 0.1.0, trust epoch N"),
    ok("policy engine", "OPA answers the gate"),
    ok("policies", "sha256:REVISION"),
    ok("authorities", "5 fresh; the first to end is WHO, at TIME (SPAN)"),
    ok("evidence", "1 manifests; no file refused"),
    ok("clock", "within 30 s of Envoy, the gate"),
    ok("certificates", "the gateway speaks plain HTTP"),
    ok("Envoy", "1.40.0 is LIVE at LOOPBACK"),
    ok("ext_authz", "ok N, denied N, error 0; none passed unasked"),
    ok("gate cluster", "gate leads to port N, healthy"),
    ok("canary: a call", "POST /v1/chat/completions got 401 credential_missing from the gate"),
    ok("canary: an upload", "POST /v1/files got 403 unsupported_operation from the gate"),
)

_VARYING = (
    (r"127\.0\.0\.1:\d+", "LOOPBACK"),
    (r"\d+\.\d MiB, room for \d+ MiB", "N MiB, room for N MiB"),
    (r"trust epoch \d+", "trust epoch N"),
    (r"sha256:[0-9a-f]{64}", "sha256:REVISION"),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
    (r"end is [a-z-]+", "end is WHO"),
    (r"\(\d+ (?:s|min|h|d)\)", "(SPAN)"),
    (r"ends in \d+ s", "ends in N s"),
    (r"ok \d+, denied \d+", "ok N, denied N"),
    (r"port \d+", "port N"),
)
"""What differs from run to run, and what stands for it."""


def told(site: Site, found: Report) -> Report:
    """The report without what differs from run to run."""

    def plain(text: str) -> str:
        text = text.replace(str(site.folder), "HERE")
        for pattern, word in _VARYING:
            text = re.sub(pattern, word, text)
        return text

    return tuple(replace(one, detail=plain(one.detail)) for one in found)


def patient(site: Site, **changes: Any) -> Subject:
    """The site as the command would be told of it."""
    assert site.envoy is not None
    host, port = site.envoy.admin
    known = {"envoy_admin": f"{host}:{port}", "gateway": site.envoy.url}
    return subject(site.folder / "sidecar.yaml", **{**known, **changes})


def alone(site: Site) -> Subject:
    """The site without an Envoy, for checks that need none."""
    return subject(
        site.folder / "sidecar.yaml", envoy_admin="127.0.0.1:1", gateway="http://127.0.0.1:2"
    )


def report(site: Site, **changes: Any) -> Report:
    """What the doctor says of the site."""
    return told(site, examine(patient(site, **changes)))


def but(*changed: Finding) -> Report:
    """The healthy report, with these in place of those of the same name."""
    names = {one.name for one in changed}
    assert names <= {one.name for one in HEALTHY}
    return tuple(
        finding
        for one in HEALTHY
        for finding in ([new for new in changed if new.name == one.name] or [one])
    )


@pytest.fixture
def site(stand: Stand, tmp_path: Path) -> Iterator[Site]:
    """A machine whose files only their owner may change, however this checkout was made."""
    before = os.umask(0o022)
    try:
        with Site(stand, tmp_path / "site") as made:
            policies = copy_policies(made.folder)
            for path in (policies, *policies.rglob("*")):
                path.chmod(path.stat().st_mode & ~0o022)
            made.settings["policies"] = str(policies)
            yield made
    finally:
        os.umask(before)


@pytest.fixture
def whole(site: Site) -> Site:
    """Gate and Envoy, running and in order."""
    return site.start().front()


def test_a_healthy_installation_is_in_order_throughout(whole: Site) -> None:
    assert report(whole) == HEALTHY


# ---- one thing at a time -------------------------------------------------------------------------


def test_a_policy_engine_that_does_not_answer(whole: Site) -> None:
    (engine,) = children(whole.pid, "opa")
    down = fail(
        "policy engine",
        "OPA does not answer the gate",
        "The gate restarts the one it manages; see its log. Start one that is yours.",
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
            "chmod go-w them, and look at what they say.",
        )
    )


def test_a_state_folder_open_to_others(whole: Site) -> None:
    """The gate would not start again."""
    (whole.folder / "state").chmod(0o750)
    assert report(whole) == but(
        fail(
            "trust",
            "HERE/trust.yaml: state: HERE/state is open to others (mode 0750); chmod 700 it",
            "Correct what it names; see docs/trust.md.",
        ),
        fail(
            "permissions",
            "others may use HERE/state (0750)",
            "chmod 0600 the files (0700 the folders); replace a key that others could read.",
        ),
    )


def test_an_authority_that_falls_silent(site: Site) -> None:
    """First it warns, as long as the operator's own rhythm would hardly notice the end in time."""
    site.trust["poll_seconds"] = 60
    site.start().front()
    publish = "Have the authority publish again (admit authority publish)."
    name = f"authority {REGULATOR}"

    def with_regulator(found: Finding) -> Report:
        return tuple(found if one.name == "authorities" else one for one in HEALTHY)

    soon = warn(name, "ends in N s, before two more looks at it", publish)
    over = fail(name, "ended at TIME: what relies on it is denied", publish)
    site.set_silence(REGULATOR, timedelta(seconds=100))
    assert until(lambda: report(site), with_regulator(soon)) == with_regulator(soon)
    site.set_silence(REGULATOR, timedelta(seconds=2))
    assert until(lambda: report(site), with_regulator(over)) == with_regulator(over)


def without_the_gate() -> Report:
    """What can still be said while nobody answers for the gate."""
    start = "Start it: admit serve --config FILE; its log says why it ended."
    gone = "Either the gate could not be asked (above), or this route is not checked."
    inside = {"readiness", "policy engine", "policies", "authorities", "evidence"}
    changed = {
        "gate": fail("gate", "LOOPBACK: no answer (UNAVAILABLE)", start),
        "clock": ok("clock", "within 30 s of Envoy"),
        "gate cluster": fail(
            "gate cluster",
            "no cluster leads to the gate's port N",
            "Correct the address of the cluster that grpc_service names.",
        ),
        "canary: a call": fail(
            "canary: a call", "POST /v1/chat/completions got 503, but not from the gate", gone
        ),
        "canary: an upload": fail(
            "canary: an upload", "POST /v1/files got 503, but not from the gate", gone
        ),
    }
    found = [changed.get(one.name, one) for one in HEALTHY if one.name not in inside]
    found.insert(5, fail("status", "LOOPBACK: Connection refused", start))
    return tuple(found)


def test_a_gate_that_was_stopped(whole: Site) -> None:
    """It takes its ready file with it, so its ports are not known any more either.

    The canaries run beside the look at Envoy's counters: which of their errors are counted by
    then, or none, differs from run to run.
    """
    assert whole.stop_gate() == 0
    seen = tuple(
        replace(one, detail=re.sub(r"error [0-2];", "error 0;", one.detail))
        for one in report(whole)
    )
    assert seen == without_the_gate()


def test_addresses_where_nobody_is(whole: Site) -> None:
    nobody = "LOOPBACK: Connection refused"
    gateway = "Start Envoy, or correct --gateway (TLS: --ca)."
    assert report(whole, envoy_admin="127.0.0.1:1", gateway="http://127.0.0.1:2") == but(
        ok("clock", "within 30 s of the gate"),
        fail("Envoy", nobody, "Start Envoy, or correct --envoy-admin."),
        fail("ext_authz", nobody, "Correct --envoy-admin; permit /stats there."),
        fail("gate cluster", nobody, "Permit /clusters in admin.allow_paths."),
        fail("canary: a call", nobody, gateway),
        fail("canary: an upload", nobody, gateway),
    )


def test_an_admin_interface_that_is_another_server(whole: Site) -> None:
    """Here the gate's own metrics."""
    told_by = report(whole, envoy_admin=whole.metrics.removeprefix("http://"))
    assert told_by == but(
        fail("Envoy", "the answer is not JSON", "Start Envoy, or correct --envoy-admin."),
        fail("ext_authz", "the answer is not JSON", "Correct --envoy-admin; permit /stats there."),
        fail("gate cluster", "the answer is not JSON", "Permit /clusters in admin.allow_paths."),
    )


# ---- an Envoy that does not ask ------------------------------------------------------------------

Change = Callable[[dict[str, Any]], None]
NOT_CHECKED = "This route is not checked: enable ext_authz on it."
GATE = "envoy.filters.http.ext_authz"


def manager(config: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any]
    (listener,) = config["static_resources"]["listeners"]
    found = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def asking(config: dict[str, Any]) -> dict[str, Any]:
    """The filter that asks the gate."""
    (found,) = (each for each in manager(config)["http_filters"] if each["name"] == GATE)
    assert isinstance(found, dict)
    return found


def routes(config: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = manager(config)["route_config"]["virtual_hosts"][0]["routes"]
    return found


def disable(number: int) -> Change:
    def change(config: dict[str, Any]) -> None:
        override = routes(config)[number]["typed_per_filter_config"][GATE]
        del override["check_settings"]
        override["disabled"] = True

    return change


def without_the_filter(config: dict[str, Any]) -> None:
    manager(config)["http_filters"].remove(asking(config))
    for route in routes(config):
        del route["typed_per_filter_config"][GATE]


def fail_open(config: dict[str, Any]) -> None:
    asking(config)["typed_config"]["failure_mode_allow"] = True


@contextmanager
def fronted(site: Site, change: Change) -> Iterator[Site]:
    """The site behind an Envoy whose configuration was changed."""
    config = yaml.safe_load(reference("jwt"))
    change(config)
    # Aliases would be resolved differently by the renderer: write them out.
    text = yaml.dump(config, Dumper=_Plain, sort_keys=False)
    site.envoy = envoy_before(site.stand, site.listen, site.folder / "changed", text).start()
    yield site


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def test_a_route_of_calls_that_is_not_checked(site: Site) -> None:
    site.start()
    with fronted(site, disable(-1)):
        assert report(site) == but(
            fail(
                "canary: a call",
                "POST /v1/chat/completions got 200: it was NOT denied",
                NOT_CHECKED,
            )
        )


def test_a_route_of_uploads_that_is_not_checked(site: Site) -> None:
    """The provider's own refusal is none of the gate's."""
    site.start()
    with fronted(site, disable(0)):
        assert report(site) == but(
            fail(
                "canary: an upload",
                "POST /v1/files got 400, but not from the gate",
                "Either the gate could not be asked (above), or this route is not checked.",
            )
        )


def test_an_envoy_without_the_filter(site: Site) -> None:
    site.start()
    with fronted(site, without_the_filter):
        assert report(site) == but(
            fail(
                "ext_authz",
                "no listener has the filter: nothing is checked",
                "Compare it with the reference configurations under envoy/.",
            ),
            fail(
                "canary: a call",
                "POST /v1/chat/completions got 200: it was NOT denied",
                NOT_CHECKED,
            ),
            fail(
                "canary: an upload",
                "POST /v1/files got 400, but not from the gate",
                "Either the gate could not be asked (above), or this route is not checked.",
            ),
        )


def test_an_envoy_that_fails_open(site: Site) -> None:
    """Seen twice: in the canary at once, and in the filter's counters from then on."""
    site.start()
    with fronted(site, fail_open):
        assert report(site) == HEALTHY
        (site.folder / "gate.json").rename(site.folder / "kept.json")
        site.stop_gate()
        found = {one.name: one for one in (report(site), report(site))[-1]}
    assert found["canary: a call"] == fail(
        "canary: a call", "POST /v1/chat/completions got 200: it was NOT denied", NOT_CHECKED
    )
    counted = found["ext_authz"]
    assert (counted.state, counted.remedy) == ("fail", "Set failure_mode_allow: false.")
    assert re.fullmatch(
        r"\d+ requests passed unasked; ok N, denied N, error \d+", counted.detail
    ), counted


# ---- files that do not read ----------------------------------------------------------------------


def test_a_configuration_that_is_not_valid(whole: Site) -> None:
    """The rest is looked for where the reference configuration has it."""
    (whole.folder / "sidecar.yaml").write_text("trust: trust.yaml\nfail_open: true\n")
    found = report(whole)
    assert found[0] == fail(
        "configuration",
        "HERE/sidecar.yaml: fail_open: Extra inputs are not permitted",
        "Correct what it names; docs/operators.md has every key.",
    )
    assert "trust" not in {one.name for one in found}


def test_a_trust_file_that_is_not_valid(whole: Site) -> None:
    (whole.folder / "trust.yaml").write_text("version: 2\n")
    found = {one.name: one for one in report(whole)}
    assert found["trust"].state == "fail"
    assert found["trust"].detail.startswith("HERE/trust.yaml: ")
    others = {one.name for one in HEALTHY} - {"trust"}
    assert {name for name in others if found[name].state != "ok"} == set()


# ---- clock and certificates ----------------------------------------------------------------------


@contextmanager
def web_server(ahead: timedelta) -> Iterator[str]:
    """Somebody else's web server, whose clock is off."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", format_datetime(datetime.now(UTC) + ahead, usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
            pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(("ahead", "way"), [(90, "behind"), (-90, "ahead of")])
def test_a_clock_that_is_off(whole: Site, ahead: int, way: str) -> None:
    with web_server(timedelta(seconds=ahead)) as url:
        found = report(whole, time_source=url)
    off = next(one for one in found if one.name == "clock")
    assert re.fullmatch(rf"(8[5-9]|9[0-5]) s {way} the time source", off.detail)
    assert off.remedy == "Let NTP set this machine's clock, then restart the gate."
    assert found == but(off)


def test_a_clock_that_agrees_with_everybody(whole: Site) -> None:
    with web_server(timedelta(0)) as url:
        assert report(whole, time_source=url) == but(
            ok("clock", "within 30 s of Envoy, the time source, the gate")
        )


@pytest.fixture
def mutual(site: Site, stand: Stand) -> tuple[Site, Tls]:
    """The site behind mutual TLS, and what a client needs there."""
    domain = TrustDomain(TRUST_DOMAIN, site.folder / "spiffe")
    gateway, client = domain.issue("/gateway"), domain.issue("/env/prod")
    tls = TlsFiles(gateway.certificate, gateway.private_key, TRUST_DOMAIN, domain.bundle)
    site.start()
    site.envoy = envoy_before(
        stand, site.listen, site.folder / "envoy", reference("mtls"), tls
    ).start()
    return site, Tls(domain.bundle, client.certificate, client.private_key)


def test_a_gateway_with_mutual_tls(mutual: tuple[Site, Tls]) -> None:
    """The canary has a certificate there; the gate does not know its root."""
    site, tls = mutual
    assert site.envoy is not None
    gateway = f"https://127.0.0.1:{site.envoy.port}"
    denied = "got 401 credential_invalid from the gate"
    assert report(site, gateway=gateway, tls=tls) == but(
        ok(
            "certificates",
            f"the gateway's holds until TIME (spiffe://{TRUST_DOMAIN}/gateway); "
            f"the client's holds until TIME (spiffe://{TRUST_DOMAIN}/env/prod)",
        ),
        ok("canary: a call", f"POST /v1/chat/completions {denied}"),
    )
    assert tls.key is not None
    tls.key.chmod(0o644)
    found = {one.name: one.state.value for one in report(site, gateway=gateway, tls=tls)}
    assert [name for name, state in found.items() if state != "ok"] == ["permissions"]


def test_a_gateway_whose_roots_are_not_believed(mutual: tuple[Site, Tls]) -> None:
    site, tls = mutual
    assert site.envoy is not None
    stranger = TrustDomain("other.example", site.folder / "stranger")
    found = report(
        site,
        gateway=f"https://127.0.0.1:{site.envoy.port}",
        tls=replace(tls, ca=stranger.bundle),
    )
    failed = {one.name: one.detail for one in found if one.state == "fail"}
    assert sorted(failed) == ["canary: a call", "canary: an upload"]
    assert all("CERTIFICATE_VERIFY_FAILED" in detail for detail in failed.values())


def certificate(folder: Path, begin: timedelta, end: timedelta) -> Path:
    """A self-signed client certificate that holds from ``begin`` to ``end``, seen from now."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "workload")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + begin)
        .not_valid_after(now + end)
        .sign(key, hashes.SHA256())
    )
    path = folder / "client.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("begin", "end", "found"),
    [
        (-60, -1, fail("certificates", "the client's holds from TIME to TIME", "")),
        (10, 60, fail("certificates", "the client's holds from TIME to TIME", "")),
        (
            -90,
            10,
            warn("certificates", "the client's ends at TIME: a fifth of its life is left", ""),
        ),
        (
            -60,
            60,
            ok("certificates", "the gateway speaks plain HTTP; the client's holds until TIME"),
        ),
    ],
)
def test_a_certificate_that_has_ended_or_soon_will(
    whole: Site, begin: int, end: int, found: Finding
) -> None:
    path = certificate(whole.folder, timedelta(minutes=begin), timedelta(minutes=end))
    remedy = "Have it renewed; short-lived certificates need their agent running."
    expected = replace(found, remedy="" if found.state == "ok" else remedy)
    assert report(whole, tls=Tls(certificate=path)) == but(expected)


# ---- parts that are not there in every installation ----------------------------------------------


def test_an_opa_that_somebody_else_runs_is_asked_itself(site: Site, stand: Stand) -> None:
    """The stage's own, over its socket; then none."""
    address = stand.stage.opa_socket
    answers: list[Finding] = []
    for url in (address, "unix:///nowhere/opa.sock", "http://127.0.0.1:9"):
        site.settings["opa"] = {"address": url, "revision": "x"}
        site.write()
        answers += engine(alone(site))
    remedy = "Start OPA, or correct opa.address."
    assert answers == [
        ok("OPA", f"{address} answers"),
        fail("OPA", "/nowhere/opa.sock: No such file or directory", remedy),
        fail("OPA", "127.0.0.1:9: Connection refused", remedy),
    ]


def test_a_decision_log_without_a_folder_or_grown_large(site: Site) -> None:
    found: list[Finding] = []
    for log in ("-", "nowhere/decisions.jsonl", "large.jsonl"):
        site.settings["decision_log"] = log
        site.write()
        found += told(site, decision_log(alone(site)))
        with (site.folder / "large.jsonl").open("wb") as file:
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
            "Rotate it (rename, then restart the gate).",
        ),
    ]


# ---- the doctor itself ---------------------------------------------------------------------------


def test_a_check_that_hangs_or_breaks_does_not_take_the_others_with_it(whole: Site) -> None:
    gate = threading.Event()

    def hangs(_: Subject) -> Report:
        gate.wait()
        return ()

    def breaks(_: Subject) -> Report:
        raise KeyError("x")

    checks = [("first", hangs), CHECKS[0], ("last", breaks)]
    found = told(whole, examine(patient(whole), checks, patience=3.0))
    gate.set()
    assert found == (
        fail("first", "no end within 3 s", "Look at what it asks."),
        HEALTHY[0],
        fail("last", "could not be examined: KeyError: 'x'", "Please report this."),
    )


def run(site: Site, *more: str) -> subprocess.CompletedProcess[str]:
    """The command, as an operator calls it in a terminal of 100 columns."""
    assert site.envoy is not None
    host, port = site.envoy.admin
    where = ("--envoy-admin", f"{host}:{port}", "--gateway", site.envoy.url)
    return subprocess.run(
        [
            *(sys.executable, "-m", "sidecar.cli", "doctor"),
            *("--config", str(site.folder / "sidecar.yaml"), *where, *more),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "COLUMNS": "100"},
    )


def test_the_command_fits_one_screen_and_its_exit_status_says_how_it_stands(whole: Site) -> None:
    healthy = run(whole)
    (whole.folder / "trust.yaml").chmod(0o666)
    ill, machine = run(whole), run(whole, "--json")
    assert [healthy.returncode, ill.returncode, machine.returncode] == [0, 1, 1]
    lines = healthy.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[:-1]] == [f"✓ {one.name}" for one in HEALTHY]
    assert lines[-1] == f"{len(HEALTHY)} in order, 0 to look at, 0 failed"
    shown = ill.stdout.splitlines()
    assert len(shown) == len(lines) + 1
    assert max(map(len, shown)) <= 100
    assert "✗ permissions" in ill.stdout
    value = json.loads(machine.stdout)
    assert (value["healthy"], len(value["findings"])) == (False, len(HEALTHY))


@pytest.mark.parametrize(
    ("option", "value", "line"),
    [
        ("--envoy-admin", "9901", "admit: --envoy-admin: '9901' is not HOST:PORT"),
        ("--gateway", "gateway:1", "admit: --gateway: 'gateway:1' is not http://… or https://…"),
        ("--time-source", "http://x:y", "admit: --time-source: 'http://x:y' is not a URL"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_line(
    tmp_path: Path, option: str, value: str, line: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sidecar.cli", "doctor", option, value],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (2, line + "\n")
