"""What is missing or wrong at the start: one clear line, exit status 2, and nothing is served.

An authority that cannot be read is none of that; see ``test_authorities``.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from admissibility_devtools.demo.authorities import CUSTOMER, EVALUATOR, GRANTS, REGULATOR
from admissibility_devtools.tools.places import repository_root
from tests.support.site.site import Site

Breaks = Callable[[Site], None]


def root_of(site: Site, name: str) -> Path:
    return site.folder / str(site.entry(name)["root"])


def no_trust(site: Site) -> None:
    site.settings["trust"] = "elsewhere.yaml"


def unknown_key(site: Site) -> None:
    site.trust["fail_open"] = True


def another_version(site: Site) -> None:
    site.trust["version"] = 2


def no_authorities(site: Site) -> None:
    site.trust["authorities"] = []


def no_regulator(site: Site) -> None:
    site.trust["authorities"].remove(site.entry(REGULATOR))


def same_name(site: Site) -> None:
    site.entry(EVALUATOR)["name"] = REGULATOR


def same_root(site: Site) -> None:
    site.entry(EVALUATOR)["root"] = site.entry(REGULATOR)["root"]


def no_evidence(site: Site) -> None:
    site.trust["evidence"] = []


def state_in_evidence(site: Site) -> None:
    site.trust["state"] = str(site.organisations.evidence / "state")


def state_open_to_others(site: Site) -> None:
    (site.folder / "state").mkdir()
    (site.folder / "state").chmod(0o755)


def grant_without_a_scope(site: Site) -> None:
    site.entry(REGULATOR)["grants"] = [{**GRANTS[REGULATOR], "models": []}]


def no_root(site: Site) -> None:
    root_of(site, REGULATOR).unlink()


def unreadable_root(site: Site) -> None:
    root_of(site, REGULATOR).unlink()
    root_of(site, REGULATOR).mkdir()


def root_is_no_json(site: Site) -> None:
    root_of(site, REGULATOR).write_bytes(b"-----BEGIN PUBLIC KEY-----")


def unreadable_key(site: Site) -> None:
    """A key in the pinned root that is none; the signature over it cannot be checked either."""
    path = root_of(site, REGULATOR)
    value = json.loads(path.read_bytes())
    for key in value["signed"]["keys"].values():
        key["keyval"]["public"] = "not a key"
    path.write_text(json.dumps(value))


def root_of_somebody_else(site: Site) -> None:
    """The regulator's root with a key exchanged: signed by nobody who is in it."""
    path = root_of(site, REGULATOR)
    value = json.loads(path.read_bytes())
    other = json.loads(root_of(site, CUSTOMER).read_bytes())
    value["signatures"] = other["signatures"]
    path.write_text(json.dumps(value))


def no_policies(site: Site) -> None:
    site.settings["policies"] = "none"


def policies_are_a_file(site: Site) -> None:
    (site.folder / "policies").write_text("package admission\n")
    site.settings["policies"] = "policies"


DECISION = repository_root() / "policies" / "admission" / "decision.rego"
BROKEN_LINE = len(DECISION.read_text().splitlines()) + 3
"""Where the end is missed: behind the last line, an empty one and the rule that is begun."""


def policies_that_do_not_compile(site: Site) -> None:
    folder = Path(shutil.copytree(site.settings["policies"], site.folder / "policies"))
    with (folder / "admission" / "decision.rego").open("a") as file:
        file.write("\nallow if {\n")
    site.settings["policies"] = "policies"


def policies_that_want_the_network(site: Site) -> None:
    folder = Path(shutil.copytree(site.settings["policies"], site.folder / "policies"))
    rule = 'package leak\n\nx := http.send({"method": "get", "url": "http://x.example"})\n'
    (folder / "leak.rego").write_text(rule)
    site.settings["policies"] = "policies"


def no_opa(site: Site) -> None:
    site.settings["opa"] = {"managed": {"binary": str(site.folder / "no-opa")}}


def opa_that_ends(site: Site) -> None:
    site.settings["opa"] = {"managed": {"binary": "/bin/false"}}


def socket_folder_open_to_others(site: Site) -> None:
    folder = site.folder / "run"
    folder.mkdir()
    folder.chmod(0o755)
    managed = site.settings["opa"]["managed"]
    site.settings["opa"] = {"managed": {**managed, "directory": str(folder)}}


def no_place_for_the_log(site: Site) -> None:
    site.settings["decision_log"] = "none/decisions.jsonl"


def two_engines(site: Site) -> None:
    site.settings["opa"] |= {"address": "unix:///run/opa.sock", "revision": "r-1"}


def misspelt(site: Site) -> None:
    site.settings["deadline"] = 400


PIN = "pin the root that the authority gave you"
REFUSED = f"SITE/trust.yaml: authorities.2.root: SITE/roots/{REGULATOR}.root.json is refused:"
MISTAKES: dict[Breaks, str] = {
    no_trust: "SITE/elsewhere.yaml: cannot be read: No such file or directory",
    unknown_key: "SITE/trust.yaml: fail_open: is not a known key; known here: authorities,"
    " evidence, floors, jurisdictions, poll_seconds, required_roles, specification, state, version",
    another_version: "SITE/trust.yaml: version: input should be 1",
    no_authorities: "SITE/trust.yaml: authorities: is empty; write out what holds, '**' means all",
    no_regulator: "SITE/trust.yaml: authorities: none is granted the role 'regulator', which is"
    " required; nothing could ever be admitted",
    same_name: f"SITE/trust.yaml: authorities: '{REGULATOR}' is given twice",
    same_root: f"SITE/trust.yaml: authorities: {REGULATOR} and {EVALUATOR} share a root key; an"
    " authority needs keys of its own",
    no_evidence: "SITE/trust.yaml: evidence: is empty; write out what holds, '**' means all",
    state_in_evidence: "SITE/trust.yaml: state: SITE/authorities/evidence/state lies in"
    " SITE/authorities/evidence, which is followed; put it elsewhere",
    state_open_to_others: "SITE/trust.yaml: state: SITE/state is open to others (mode 0755);"
    " chmod 700 it",
    grant_without_a_scope: "SITE/trust.yaml: authorities.2.grants.0.models: is empty; write out"
    " what holds, '**' means all",
    no_root: f"SITE/trust.yaml: authorities.2.root: SITE/roots/{REGULATOR}.root.json cannot be"
    " read: No such file or directory",
    unreadable_root: f"SITE/trust.yaml: authorities.2.root: SITE/roots/{REGULATOR}.root.json"
    " cannot be read: Is a directory",
    root_is_no_json: f"{REFUSED} not a TUF root document; {PIN}",
    unreadable_key: f"{REFUSED} a ed25519 key cannot be read; {PIN}",
    root_of_somebody_else: f"{REFUSED} root version 1: root was signed by 0/1 keys; {PIN}",
    no_policies: "SITE/none: there is no such folder",
    policies_are_a_file: "SITE/policies: there is no such folder",
    policies_that_do_not_compile: "OPA refuses the policies: load error: bundle .:"
    f" 1 error occurred: admission/decision.rego:{BROKEN_LINE}:"
    " rego_parse_error: unexpected eof token allow if { ^",
    policies_that_want_the_network: "OPA refuses the policies: 1 error occurred:"
    " leak.rego:3: rego_type_error: undefined function http.send",
    no_opa: "SITE/no-opa cannot be run: [Errno 2] No such file or directory: 'SITE/no-opa'",
    opa_that_ends: "OPA refuses the policies: /bin/false exited with status 1 and printed nothing",
    socket_folder_open_to_others: "SITE/run: must be this user's alone (chmod 0700)",
    no_place_for_the_log: "decision_log: SITE/none/decisions.jsonl: No such file or directory",
    two_engines: "SITE/sidecar.yaml: opa: give either managed or address",
    misspelt: "SITE/sidecar.yaml: deadline: is not a known key; did you mean 'deadline_ms'?",
}


def refusal(site: Site) -> tuple[int, list[str]]:
    """How ``admit serve`` ended, and every line it wrote; it never listened for calls."""
    site.write()
    code, written = site.gate.run("--log-level", "error")
    assert not site.gate.ready
    text = re.sub(r"[^ ]*/admit-opa\.[^/]*", "TMP", written.replace(str(site.folder), "SITE"))
    return code, text.splitlines()


@pytest.mark.parametrize("breaks", MISTAKES, ids=lambda breaks: breaks.__name__)
def test_a_mistake_is_one_line_and_nothing_is_served(site: Site, breaks: Breaks) -> None:
    breaks(site)
    assert refusal(site) == (2, [f"admit serve: {MISTAKES[breaks]}"])


@pytest.mark.parametrize("key", ["listen", "metrics"])
def test_a_port_in_use_is_reported_in_one_line(site: Site, key: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        site.settings[key] = address
        code, lines = refusal(site)
    (line,) = (line for line in lines if line.startswith("admit serve: "))
    assert (code, line.partition(": ")[2].startswith(f"{key}: "), address in line) == (
        2,
        True,
        True,
    )
    assert "Traceback" not in lines


def test_a_refused_start_leaves_no_policy_engine_behind(site: Site, run_folder: Path) -> None:
    """OPA runs by then; a port that cannot be had must end it again."""
    folder = run_folder
    managed = site.settings["opa"]["managed"]
    site.settings["opa"] = {"managed": {**managed, "directory": str(folder)}}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        site.settings["listen"] = f"127.0.0.1:{taken.getsockname()[1]}"
        code, _ = refusal(site)
    running = [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(folder) in read(p)]
    assert (code, running, list(folder.iterdir())) == (2, [], [])


def read(path: Path) -> str:
    """A process's command line; empty once it has gone."""
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_gate_and_all_that_it_started(
    site: Site, run_folder: Path, number: signal.Signals
) -> None:
    folder = run_folder
    managed = site.settings["opa"]["managed"]
    site.settings["opa"] = {"managed": {**managed, "directory": str(folder)}}
    site.start()
    assert [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(folder) in read(p)] != []
    assert site.stop_gate(number) == 0
    running = [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(folder) in read(p)]
    assert (running, list(folder.iterdir()), site.gate.ready) == (
        [],
        [],
        False,
    )
