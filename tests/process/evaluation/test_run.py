"""Suites on real Inspect AI: what is asked, what counts as an answer, and what is kept of it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.evaluation.cost import parse_prices
from sidecar.evaluation.countersign import read_results
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.runner.environment import VARIABLE
from sidecar.evaluation.runner.evaluate import EvaluatedSuite, Evaluator
from sidecar.evaluation.runner.plan import Bounds, Route, suite_plan
from sidecar.evaluation.tool_calls import ToolCall
from tests.process.evaluation.conftest import Suites
from tests.process.evaluation.scripted import Asked, Reply, Scripted, refuses, says, scripted

pytestmark = pytest.mark.slow
MODEL = "ft:gpt-4o-2024-08-06:acme:support-v3:abc123"
MANIFEST = "ab" * 32
NOW, HOUR = datetime(2026, 11, 1, tzinfo=UTC), timedelta(hours=1)
SECRET = "eyJhbGciOi.the-svid-of-the-lab.c2lnbmF0dXJl"
LONG = "yes " + "and so on " * 2_000
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "look",
            "strict": True,
            # `pattern` is a part of schemas that Inspect's own form of tools has no room for.
            "parameters": {"type": "object", "properties": {"n": {"pattern": "^[0-9]$"}}},
        },
    }
]
EARLIER = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"n": "1"}'}}
TURNS = [
    {"role": "user", "content": "Look twice."},
    {"role": "assistant", "content": "", "tool_calls": [EARLIER]},
    {"role": "tool", "tool_call_id": "c1", "content": "nothing"},
]
CASES = {
    "plain": "Is it?",
    "busy": "Is it, later?",
    "long": "Say more.",
    "wrong": "Is it not?",
    "calls": TURNS,
}
CALL = {"id": "c2", "type": "function", "function": {"name": "look", "arguments": '{"n": "yes"}'}}
ANSWERS = {
    "Is it?": says("Yes."),
    "Is it, later?": says("yes"),
    "Say more.": says(LONG),
    "Is it not?": says("No."),
    "nothing": says("", "tool_calls", [CALL]),
}
HAS = {
    "type": "string_check",
    "name": "has",
    "operation": "ilike",
    "input": "{{ sample.output_text }} {{ sample.output_tools[0].function.arguments }}",
    "reference": "{{ item.reference }}",
}
JUDGE = {
    "type": "score_model",
    "name": "judge",
    "model": "gpt-4.1",
    "range": [0.0, 10.0],
    "input": [
        {"role": "user", "content": "Q: {{ item.id }} A: {{ sample.output_text }}"},
    ],
    "sampling_params": {"temperature": 0.0},
}
GRADER = {
    "type": "multi",
    "name": "both",
    "graders": {"has": HAS, "judge": JUDGE},
    "calculate_output": "has * judge",
}


def answer(asked: Asked) -> Reply:
    return ANSWERS[asked.text]


def judge(asked: Asked) -> Reply:
    return says(" 5\n" if "Q: busy" in asked.text else "10")


def busy_once() -> Iterator[Reply | None]:
    yield refuses(429, "rate_limit_exceeded")
    while True:
        yield None


@dataclass(frozen=True, slots=True)
class Ran:
    """One run with everything around it."""

    found: EvaluatedSuite
    provider: Scripted
    judges: Scripted
    folder: Path
    evaluator: Evaluator


def evaluator(python: Path, folder: Path, provider: Scripted, **changes: object) -> Evaluator:
    svid = folder / "svid"
    svid.write_text(SECRET + "\n")
    route = Route(provider.url, svid)
    # One that is above a run's folder, as a project's often is.
    (folder / ".env").write_text("INSPECT_DISABLE_MODEL_API=1\nOPENAI_API_KEY=sk-of-the-parent\n")
    bounds = Bounds(connections=4, retries=3, attempts=1, seconds=30)
    value = Evaluator(python, MANIFEST, MODEL, folder / "runs", NOW, route, route, bounds)
    return replace(value, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def ran(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("ran")
    make_suite = Suites(tmp_path_factory.mktemp("suites"))
    overload = busy_once()

    def script(asked: Asked) -> Reply:
        later = next(overload) if asked.text == "Is it, later?" else None
        return later or answer(asked)

    suite = make_suite("support", CASES, grader=GRADER, tools=TOOLS)
    with scripted(script, MANIFEST) as provider, scripted(judge) as judges:
        prices = parse_prices(["3.75,15", "gpt-4.1=2,8"])
        ready = evaluator(python, folder, provider, production=Route(judges.url), prices=prices)
        with pytest.raises(EvaluationError, match="called over the production route; name it"):
            replace(ready, production=None).evaluate([suite])
        assert provider.asked == []
        yield Ran(ready.evaluate([suite])[0], provider, judges, folder, ready)


def test_every_case_is_asked_with_the_suites_settings_and_a_429_again(ran: Ran) -> None:
    asked = ran.provider.asked
    assert ran.provider.texts() == sorted([*list(ANSWERS), "Is it, later?"])
    system = {"role": "system", "content": "You are a support assistant."}
    for each in asked:
        body = dict(each.body)
        first, *rest = body.pop("messages")
        assert first == system
        expected = TURNS if each.text == "nothing" else [{"role": "user", "content": each.text}]
        assert [{k: v for k, v in m.items() if k != "name"} for m in rest] == expected
        settings = {"model": MODEL, "temperature": 0.0, "seed": 7, "max_tokens": 50}
        assert body == {**settings, "tools": TOOLS}


def test_the_answers_are_graded_here_and_the_log_is_named(ran: Ran) -> None:
    graded = ran.found.graded
    scores = {"plain": 1.0, "busy": 0.5, "long": 1.0, "wrong": 0.0, "calls": 1.0}
    assert (dict(graded.cases), graded.passed) == (scores, True)
    assert graded.score == pytest.approx(0.7)
    assert ran.found.log.answers["long"].output_text == LONG
    assert ran.found.log.answers["calls"].output_tools == (ToolCall("look", '{"n":"yes"}'),)
    (row,) = read_results(json.dumps([ran.found.row()]).encode())
    (log,) = (ran.found.folder / "logs").glob("*_support_*.json")
    assert row.report == hashlib.sha256(log.read_bytes()).hexdigest()
    assert row.tool == "inspect_ai 0.3.285, admit suite grade, judge gpt-4.1"
    assert (row.samples, row.digest, row.performed) == (5, graded.suite.digest, NOW)
    usage = ran.found.usage
    assert usage.calls == 6  # one of the five was refused, and tried again
    assert (usage.done, usage.input_tokens, usage.output_tokens) == (5, 45, 35)
    ((model, used),) = ran.found.judges
    assert (model, used.calls, used.output_tokens) == ("gpt-4.1", 5, 35)
    own, judged = ran.found.used()
    assert (own.model, own.judge, own.cost) == (MODEL, False, 0.000694)
    assert (judged.model, judged.judge, judged.cost) == ("gpt-4.1", True, 0.00037)


def test_a_judge_is_asked_over_the_production_route_about_each_answer(ran: Ran) -> None:
    texts = {"plain": "Yes.", "busy": "yes", "wrong": "No."}
    asked = {f"Q: {key} A: {text}" for key, text in texts.items()} | {"Q: calls A: "}
    assert asked < {each.text.rstrip("\n") for each in ran.judges.asked}
    assert len(ran.judges.asked) == 5
    first = {"role": "system", "content": "Answer with one number from 0 to 10 and nothing else."}
    for each in ran.judges.asked:
        assert each.body["messages"][0] == first
        assert (each.body["model"], each.body.get("tools")) == ("gpt-4.1", None)


def test_the_credential_is_in_each_request_and_in_no_file(ran: Ran) -> None:
    assert {each.headers["x-environment-credential"] for each in ran.provider.asked} == {SECRET}
    assert {each.headers["authorization"] for each in ran.provider.asked} == {
        "Bearer held-by-the-gateway"
    }
    for path in (ran.folder / "runs").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert SECRET.encode() not in data, path
            assert b"sk-of-the-parent" not in data, path


def test_the_same_run_again_asks_nothing(ran: Ran, make_suite: Suites) -> None:
    """Not even the child is started; what it left is read and graded as before."""
    suite = make_suite("support", CASES, grader=GRADER, tools=TOOLS)
    later = replace(ran.evaluator, python=Path("/does/not/exist"), now=NOW + 24 * HOUR)
    (again,) = later.evaluate([suite])
    assert (again.row(), again.usage.done) == (ran.found.row(), 5)
    assert again.used() == ran.found.used()
    log = next((ran.found.folder / "logs").glob("*_support_*.json"))
    whole = log.read_bytes()
    assert whole.count(b'"No."') > 0
    log.write_bytes(whole.replace(b'"No."', b'"Yes"'))
    with pytest.raises(EvaluationError, match=r"was changed since the run ended.*--restart asks"):
        ran.evaluator.evaluate([suite])
    log.write_bytes(whole)
    checked = ("sha256sum", "--check", "--quiet", "complete")
    assert subprocess.run(checked, cwd=ran.found.folder, check=False).returncode == 0


def test_an_evaluation_that_is_due_again_asks_everything_anew(
    ran: Ran, make_suite: Suites, tmp_path: Path
) -> None:
    """It has the plan and the folder of the last one, whose answers would pass it for ever."""
    suite = make_suite("support", CASES, grader=GRADER, tools=TOOLS)
    runs = Path(shutil.copytree(ran.folder / "runs", tmp_path / "runs"))
    for now in (NOW + 24.1 * HOUR, NOW - HOUR):  # the clock may have been set back
        later = replace(ran.evaluator, runs=runs, now=now, python=Path("/bin/false"))
        with pytest.raises(EvaluationError, match="the run did not end well"):
            later.evaluate([suite])
        assert list(runs.glob(f"{ran.found.folder.name}/logs/*")) == []


def test_a_changed_suite_manifest_or_model_has_a_folder_of_its_own(make_suite: Suites) -> None:
    """In the folder of the old one, Inspect would take the old answers for the new cases."""
    suites = [make_suite("s", {"a": "1"}), make_suite("s", {"a": "2"})]
    law = {"kind": "compliance", "jurisdiction": "eu"}
    suites += [make_suite("s", {"a": "1"}, **law | {"jurisdiction": each}) for each in ("eu", "us")]
    assert suites[2].digest == suites[3].digest  # each has a record of its own all the same
    plans = [suite_plan(each, "ab" * 32, MODEL) for each in suites]
    plans += [suite_plan(suites[0], "cd" * 32, MODEL), suite_plan(suites[0], "ab" * 32, "other")]
    assert len({plan.folder(Path("runs")) for plan in plans}) == len(plans)


def test_what_the_model_did_not_answer_itself_is_no_score(
    python: Path, make_suite: Suites, tmp_path: Path
) -> None:
    """Inspect makes an answer of a provider's refusal, with which a suite of attacks would pass."""
    replies = {"2": refuses(400, "content_filter"), "3": says("yes", "length")}
    suite = make_suite("some", {"one": "1", "two": "2", "three": "3"})
    message = r"2 answers were not ended by the model: two \(content_filter\), three \(max_tokens\)"
    with scripted(lambda asked: replies.get(asked.text, says("yes")), MANIFEST) as provider:
        with pytest.raises(EvaluationError, match=message):
            evaluator(python, tmp_path, provider).evaluate([suite])
        assert len(provider.asked) == len(suite.cases)
    assert list(tmp_path.rglob("graded.json")) == []


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ("cd" * 32, rf"{MODEL} is admitted under the manifest {'cd' * 32}, not {MANIFEST}"),
        (None, r"an answer without x-admissibility-manifest: is http://.* a sandbox route"),
    ],
)
def test_an_answer_under_another_manifest_ends_the_run(
    python: Path, make_suite: Suites, tmp_path: Path, stated: str | None, message: str
) -> None:
    """A deployment runs another model than it did, or the URL is no sandbox route at all."""
    with scripted(lambda _: says("yes"), stated) as provider:
        ready = evaluator(python, tmp_path, provider)
        with pytest.raises(EvaluationError, match=message):
            ready.evaluate([make_suite("swapped", {"one": "1"})])
        assert len(provider.asked) == 1
    assert list(tmp_path.rglob("graded.json")) == []


def test_a_model_is_not_its_own_judge(make_suite: Suites, tmp_path: Path) -> None:
    suite = make_suite("own", {"one": "1"}, grader=JUDGE | {"model": MODEL})
    route = Route("http://127.0.0.1:9/v1")
    for called in (None, "deployment"):
        ready = Evaluator(
            Path("/bin/false"), MANIFEST, MODEL, tmp_path, NOW, route, route, called=called
        )
        with pytest.raises(EvaluationError, match="as its own judge"):
            ready.evaluate([suite])


def test_a_provider_that_is_busy_for_ever_is_asked_a_bounded_number_of_times(
    python: Path, make_suite: Suites, tmp_path: Path
) -> None:
    bounds = Bounds(connections=1, retries=1, attempts=1, seconds=30)
    with scripted(lambda _: refuses(429, "rate_limit_exceeded", "slow down"), MANIFEST) as provider:
        ready = evaluator(python, tmp_path, provider, bounds=bounds)
        with pytest.raises(EvaluationError, match=r"did not end well.*slow down"):
            ready.evaluate([make_suite("busy", {"one": "1"})])
        assert len(provider.asked) <= 4  # of two passes, each asks once, and once more
    assert list(tmp_path.rglob("graded.json")) == []


def listening(group: int) -> list[str]:
    """What the processes of a group listen on, TCP or Unix, as the kernel lists it."""
    inodes = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile
            if os.getpgid(int(process.name)) == group:
                links = [str(each.readlink()) for each in (process / "fd").iterdir()]
                inodes |= {each[8:-1] for each in links if each.startswith("socket:[")}
    found = []
    for table, state in (("tcp", "0A"), ("tcp6", "0A"), ("unix", "00010000")):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            inode = fields[6] if table == "unix" else fields[9]
            if inode in inodes and state == fields[3]:
                found.append(line)
    return found


KILLED = """
import sys
from datetime import datetime
from pathlib import Path
from sidecar.evaluation.runner.evaluate import Evaluator
from sidecar.evaluation.runner.plan import Bounds, Route, suite_plan
from sidecar.evaluation.suite import read_suite
python, manifest, model, runs, url, suite = sys.argv[1:]
now = datetime.fromisoformat("2026-11-01T00:00:00Z")
Evaluator(Path(python), manifest, model, Path(runs), now, Route(url), bounds=Bounds(1)).evaluate(
    [read_suite(Path(suite))])
"""


def test_a_run_that_was_killed_goes_on_where_it_was(
    python: Path, make_suite: Suites, tmp_path: Path
) -> None:
    suite = make_suite("killed", {f"c{number}": str(number) for number in range(6)})
    held, go_on = threading.Event(), threading.Event()

    def script(asked: Asked) -> Reply:
        if len(provider.asked) == 4 and not go_on.is_set():
            held.set()
            go_on.wait(60)
        return says("yes")

    with scripted(script, MANIFEST) as provider:
        child = subprocess.Popen(
            [
                *(sys.executable, "-c", KILLED, str(python), MANIFEST, MODEL),
                *(str(tmp_path / "runs"), provider.url, str(make_suite.folder(suite))),
            ],
            start_new_session=True,
            env={**os.environ, VARIABLE: str(python)},
        )
        assert held.wait(120)
        assert listening(child.pid) == []
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        go_on.set()
        route = Route(provider.url)
        (found,) = Evaluator(
            python, MANIFEST, MODEL, tmp_path / "runs", NOW + HOUR, route, bounds=Bounds(1)
        ).evaluate([suite])
    assert (found.graded.score, found.usage.begun) == (1.0, NOW)
    # Three had their answers, the fourth was under way: it and the two others are asked (again).
    assert len(provider.asked) == 7
