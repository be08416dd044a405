"""The benchmark's own safeguards: a number that it prints means what it says."""

from __future__ import annotations

import copy
import http.client
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from admissibility_devtools.tools.envoy_config import reference
from admissibility_devtools.tools.envoy_process import EnvoyProcess
from sidecar.core.call import Call
from sidecar.extract.multipart import parse
from tests.bench import chart, constant_server, upstream
from tests.bench.cpu import per_call
from tests.bench.large import One
from tests.bench.large import Row as LargeRow
from tests.bench.loads import (
    LARGEST_BODY,
    LONG_LINES,
    SHORT_LINES,
    UPLOAD,
    Load,
    loads,
    refused,
)
from tests.bench.report import Report, Row, Stage, stages_between
from tests.bench.stand import PATH, Counted, Way, agree
from tests.bench.without_gate import GATE_FILTER, SEAL, without_gate
from tests.bench.wrk import MARK, NUMBER, Measured, Question, VoidError, read
from tests.support.gate.batch import calls

GOOD = '{"connect":0,"read":0,"write":0,"status":0,"timeout":0}'


def told(requests: int = 200, failed: str = GOOD) -> str:
    value = f'"requests":{requests},"microseconds":500000,"p50":1500,"p99":9000'
    return f"Running 1s test\n{MARK}{{{value},{chr(34)}failed{chr(34)}:{failed}}}\n"


def test_a_measurement_is_read_in_the_units_it_is_shown_in() -> None:
    assert read(told()) == Measured(requests=200, per_second=400.0, p50=1.5, p99=9.0)


@pytest.mark.parametrize("kind", ["connect", "read", "write", "status", "timeout"])
def test_a_measurement_over_one_error_is_void(kind: str) -> None:
    with pytest.raises(VoidError, match=kind):
        read(told(failed=GOOD.replace(f'"{kind}":0', f'"{kind}":1')))


@pytest.mark.parametrize("text", ["", "Running 1s test\n", told() + told(), told(requests=0)])
def test_a_measurement_of_nothing_is_void(text: str) -> None:
    with pytest.raises(VoidError):
        read(text)


def test_what_cannot_be_written_into_the_script_is_refused() -> None:
    with pytest.raises(ValueError, match="printable"):
        Question("/", "caf\u00e9", "x", "y").script()


def test_calls_that_went_around_the_gate_void_the_run() -> None:
    start, end = Counted(10, 12, 100), Counted(210, 212, 300)
    agree("leased", 200, 1, start, end)
    agree("alone", 200, 1, start, Counted(10, 12, 301))
    wrong: list[tuple[Way, Counted]] = [
        ("leased", Counted(10, 12, 300)),  # nobody asked the gate
        ("leased", Counted(209, 212, 300)),  # one was denied
        ("leased", Counted(212, 214, 300)),  # somebody else asked too
        ("leased", Counted(210, 212, 299)),  # one never reached the upstream
        ("alone", Counted(11, 13, 300)),  # the gate was in the way
    ]
    for way, after in wrong:
        with pytest.raises(VoidError, match=way):
            agree(way, 200, 1, start, after)


def test_only_the_gate_is_taken_out_of_the_reference_configuration() -> None:
    expected = copy.deepcopy(yaml.load(reference("jwt"), Loader=yaml.CSafeLoader))
    listener = expected["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    kept = [each for each in manager["http_filters"] if each["name"] not in {GATE_FILTER, SEAL}]
    assert len(kept) == len(manager["http_filters"]) - 2
    manager["http_filters"] = kept
    for route in manager["route_config"]["virtual_hosts"][0]["routes"]:
        del route["typed_per_filter_config"][GATE_FILTER]
    assert yaml.load(without_gate(reference("jwt")), Loader=yaml.CSafeLoader) == expected


def test_a_configuration_without_a_gate_is_no_comparison() -> None:
    with pytest.raises(ValueError, match="expected one of each"):
        without_gate(without_gate(reference("jwt")))


def test_the_upstream_answers_only_to_the_injected_key(tmp_path: Path) -> None:
    with EnvoyProcess(upstream.configuration("sk-right"), tmp_path) as envoy:
        connection = http.client.HTTPConnection("127.0.0.1", envoy.port, timeout=10)
        found = []
        for key in ("sk-right", "sk-wrong", "sk-right"):
            headers = {"authorization": f"Bearer {key}"}
            connection.request("POST", PATH, b"{}", headers)
            reply = connection.getresponse()
            reply.read()
            found.append((reply.status, connection.sock is not None))
        connection.close()
    # The connection is kept: one that is closed after each call would measure connecting.
    assert found == [(200, True), (401, True), (200, True)]


def row(way: Way, *speeds: float, **cpu: float) -> Row:
    return Row.of(way, 32, [(Measured(7, v, 10 / v, 20 / v), {"Envoy": v, **cpu}) for v in speeds])


def test_rows_are_medians_and_ratios_compare_like_with_like() -> None:
    rows = (
        row("alone", 10.0, 1000.0, 20.0),
        row("constant", 8.0, service=100.0),
        row("leased", 5.0, 1.0, 1000.0, gate=150.0, OPA=50.0),
    )
    assert rows[0] == Row("alone", 32, 20.0, 0.5, 1.0, 21, {"Envoy": 20.0})
    plain: Any = Report({"cpu": "x"}, 5.0, 3, rows, {}).plain()
    both = {"connections": 32}
    assert plain["ratios"] == [
        {"way": "constant", "against": "alone", "per_second": 0.4, "p99": 2.5, "cpu": None, **both},
        {
            "way": "leased",
            "against": "constant",
            "per_second": 0.625,
            "p99": 1.6,
            "cpu": 2.0,
            **both,
        },
    ]


def test_the_chart_shows_every_row_of_its_number_of_connections() -> None:
    rows = (row("alone", 20.0), row("leased", 5.0, gate=150.0))
    drawn = chart.svg(Report({"load": "1 < 2"}, 5.0, 1, rows, {}), 32)
    root = ET.fromstring(drawn)
    texts = [element.text for element in root.iter() if element.text and element.text.strip()]
    assert {"20 calls/s", "5 calls/s", "150 µs", "Envoy alone"} <= set(texts)


def test_every_body_of_a_run_is_another_one() -> None:
    script = Question(PATH, f'{{"n": "{NUMBER}"}}', "x-header", "token").script()
    assert "before .. number .. after" in script
    assert NUMBER not in script


def test_the_constant_reply_passes_the_seal() -> None:
    reply = constant_server.reply("x-environment-credential", "admissibility")
    assert reply.status.code == 0
    assert reply.dynamic_metadata.fields["admitted"].bool_value
    assert reply.dynamic_metadata.fields["gate"].string_value == "admissibility"


def test_a_stage_counts_only_what_happened_between_two_readings() -> None:
    before = {"read": (1.0, 100), "policy": (5.0, 100), "total": (9.0, 100)}
    after = {"read": (1.5, 110), "policy": (6.5, 110), "total": (11.0, 110)}
    assert stages_between(before, after) == (
        Stage("read", 50_000.0, 0.25),
        Stage("policy", 150_000.0, 0.75),
        Stage("total", 200_000.0, 1.0),
    )


def test_processor_time_is_per_call() -> None:
    assert per_call({"gate": 1.0}, {"gate": 1.5}, 1000) == {"gate": 500.0}


SMALL = Question(PATH, '{"model": "m"}', "x-environment-credential", "token")


def test_every_kind_of_upload_has_the_same_size_and_lines_that_the_gate_takes() -> None:
    body, *uploads = loads(SMALL)
    assert len(body.body) == LARGEST_BODY
    found = []
    for upload in uploads:
        parts = parse(upload.content_type, upload.body)
        purpose, file = (bytes(part.value) for part in parts)
        found.append((purpose, file.count(b"\n"), UPLOAD - len(file) < SHORT_LINES))
    assert found == [
        (b"batch", SHORT_LINES, True),
        (b"batch", LONG_LINES, True),
        (b"fine-tune", SHORT_LINES, True),
    ]
    bound = {Call("openai", "chat.completions", ("m",)): 1}
    assert [calls([_file(upload)]) for upload in uploads[:2]] == [bound, bound]
    unbound = Call("openai", "chat.completions", ("ft:of-nobody",))
    assert calls([_file(refused(SMALL))]) == {**bound, unbound: LONG_LINES + 1}


def _file(upload: Load) -> bytes:
    return bytes(parse(upload.content_type, upload.body)[1].value)


def test_small_calls_beside_a_load_are_compared_with_those_alone() -> None:
    idle = [One(Measured(7, 10.0, 1.0, p99)) for p99 in (4.0, 400.0, 2.0)]
    busy = [One(Measured(7, 5.0, 2.0, p99), 30.0, 1, 0.5) for p99 in (9.0, 10.0, 500.0)]
    assert LargeRow.of("x", busy, idle) == LargeRow("x", 2.0, 10.0, 2.5, 5.0, 30.0, 0.5, 3)


def test_a_terminated_bench_ends_what_it_started() -> None:
    """A gate that was left behind would take processor time from every later measurement."""
    code = (
        "import subprocess, time\n"
        "from tests.support.sigterm import unwind_on_sigterm\n"
        "unwind_on_sigterm()\n"
        "with subprocess.Popen(['sleep', '60']) as child:\n"
        "    try:\n"
        "        print(child.pid, flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        child.terminate()\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as bench:
        assert bench.stdout is not None
        child = int(bench.stdout.readline())
        bench.terminate()
        bench.wait(timeout=30)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
