"""What an alert rule waits for becomes true at a real gate when the thing happens, not before.

The rules' own unit tests (``deploy/alerts_test.yml``) feed them with series that somebody wrote;
here a gate writes them. Rules about time alone, and comparisons between gates, are not asked.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from sidecar._pb import ext_authz_pb2_grpc as rpc
from tests.process.service.site import ROOT, Running, Site
from tests.support.gate.requests import as_check_request
from tests.support.simulator.constants import ENV, MODEL
from tests.support.simulator.svid import Issuer

PATIENCE_SECONDS = 60.0
RULES: list[dict[str, Any]] = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text("utf-8"))[
    "groups"
][0]["rules"]
EXPRESSIONS = {rule["alert"].removeprefix("Admissibility"): rule["expr"] for rule in RULES}
RULE = re.compile(
    r"(?:sum by \([\w, ]+\) \()?(?P<change>increase|delta)?\(?(?P<metric>\w+)"
    r"(?:\{(?P<label>\w+)(?P<how>=~|!=|=)\"(?P<text>[^\"]*)\"\})?(?:\[\w+\])?\)*"
    r" (?P<compare>==|<|>) (?P<than>[\d.]+)(?: \* (?P<times>\d+))?\s*"
)
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": lambda value, than: value == than,
    "<": lambda value, than: value < than,
    ">": lambda value, than: value > than,
}
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(gate: Running) -> Samples:
    text = requests.get(f"{gate.metrics}/metrics", timeout=30).text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def nothing() -> None:
    """What is to happen happens by itself."""


def holds(alert: str, before: Samples, now: Samples) -> bool:
    """Evaluate the expression of a rule, for those that are of one metric."""
    rule = RULE.fullmatch(EXPRESSIONS[alert])
    assert rule is not None, EXPRESSIONS[alert]
    label, texts = rule["label"], (rule["text"] or "").split("|")
    than = float(rule["than"]) * int(rule["times"] or 1)
    values = [
        value - before.get((name, labels), value if rule["change"] else 0) * bool(rule["change"])
        for (name, labels), value in now.items()
        if name == rule["metric"]
        and (label is None or (dict(labels)[label] in texts) == (rule["how"] != "!="))
    ]
    return any(COMPARE[rule["compare"]](value, than) for value in values)


def test_what_an_alert_waits_for_comes_true_when_it_happens_at_a_gate(site: Site) -> None:
    policies = Path(shutil.copytree(ROOT / "policies", site.folder / "policies"))
    site.configure(policies="policies", decision_log="log/decisions.jsonl")
    (log := site.folder / "log").mkdir()
    evidence, parties = site.folder / "evidence", site.world.parties

    def withdraw() -> None:
        parties["regulator"].withdraw("model", f"openai/{MODEL}")
        site.publish(parties["regulator"])

    def announce() -> None:
        parties["provider"].withdraw("base-model", "openai/other", site.now + timedelta(days=7))
        site.publish(parties["provider"])

    with site.start() as gate, grpc.insecure_channel(gate.listen) as channel:

        def ask(credential: str = site.token) -> None:
            message = as_check_request(credential=credential)
            rpc.AuthorizationStub(channel).Check(message, timeout=20)

        happens: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "DecisionLogUnwritable": (lambda: log.rename(site.folder / "away"), ask),
            "GateCannotDecide": (nothing, ask),
            "WithdrawalPublished": (withdraw, nothing),
            "WithdrawnCalled": (lambda: (site.folder / "away").rename(log), ask),
            "EndAnnounced": (announce, nothing),
            "TrustDomainBehind": (
                nothing,
                lambda: ask(Issuer(kid="jwt-2").jwt_svid(ENV, site.now)),
            ),
            "PoliciesRefused": (
                lambda: (policies / "admission" / "broken.rego").write_text("package admission\n{"),
                nothing,
            ),
            "EvidenceRefused": (lambda: (evidence / "junk.dsse.json").write_text("{}"), nothing),
            "EvidenceUnreadable": (lambda: shutil.rmtree(evidence), nothing),
            "AuthorityRefreshFails": (
                lambda: shutil.rmtree(site.folder / "repositories" / "evaluator"),
                nothing,
            ),
        }
        for alert, (once, again) in happens.items():
            before = scraped(gate)
            assert not holds(alert, before, before), alert
            once()
            end = time.monotonic() + PATIENCE_SECONDS
            while not holds(alert, before, scraped(gate)):
                assert time.monotonic() < end, alert
                again()
                time.sleep(0.05)
