"""How long one decision takes: ``python -m tests.process.policies.bench`` prints a Markdown table.

``opa bench`` evaluates the entrypoint of the bundle as it is served, over the sample facts in an
environment of three jurisdictions in the financial sector: two of them have a package for it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from sidecar.core.facts import to_input
from tests.process.policies.opa import build_bundle, opa
from tests.process.policies.samples import sample_environment, sample_facts

QUERY = "data.admission.decision"
JURISDICTIONS = ("eu", "uk", "us")
RUNS = 5
TIMER = "histogram_timer_rego_query_eval_ns"


def median_microseconds(bundle: Path, folder: Path, risk_class: str) -> float:
    """The median time of one evaluation: the least disturbed of five runs of a second or so."""
    environment = sample_environment(jurisdictions=JURISDICTIONS, risk_class=risk_class)
    question = folder / "facts.json"
    question.write_text(json.dumps(to_input(sample_facts(environment=environment))))
    medians = []
    for _ in range(RUNS):
        done = opa("bench", "--bundle", bundle, "--input", question, "--format", "json", QUERY)
        if done.returncode != 0:
            sys.exit(done.stderr)
        medians.append(float(json.loads(done.stdout)["Extra"][f"{TIMER}_median"]) / 1000)
    return min(medians)


def main() -> None:
    """Measure both risk classes."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        bundle = build_bundle(folder).path
        sys.stdout.write("| risk class | median of one decision |\n|---|---|\n")
        for risk_class in ("limited", "high"):
            median = median_microseconds(bundle, folder, risk_class)
            sys.stdout.write(f"| {risk_class} | {median / 1000:.2f} ms |\n")


if __name__ == "__main__":
    main()
