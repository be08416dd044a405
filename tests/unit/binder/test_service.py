"""A running binder finds jobs by polling and by webhooks, and binds each once."""

from __future__ import annotations

import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar.binder.errors import BinderError
from sidecar.binder.job_records import JobRecord, Progress
from sidecar.binder.run import RunningBinder
from tests.support.https_server import certificate
from tests.support.provider.openai_jobs import Handler, OpenAiJobs
from tests.support.provider.producer import World, running_binder
from tests.support.simulator.svid import Issuer, pem
from tests.support.site.talk import until


@pytest.fixture
def world(account: OpenAiJobs, tmp_path: Path) -> Iterator[World]:
    made = World(account, tmp_path)
    yield made
    made.close()


def record(world: World, job: str) -> Callable[[], str]:
    def read() -> str:
        found = world.binder().state.read("openai", job)
        return "" if found is None else found.progress.value

    return read


def post(
    url: str, body: bytes, headers: dict[str, str], context: ssl.SSLContext | None = None
) -> tuple[int, Any]:
    asked = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(asked, timeout=60, context=context) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def silent(handler: Handler, path: str) -> bool:
    """Answer no listing of jobs."""
    if "/jobs?" in path:
        handler.missing("anything")
        return True
    return False


def admin(binder: RunningBinder, path: str) -> str:
    url = f"http://127.0.0.1:{binder.admin_port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return str(error.read().decode())


def counted(binder: RunningBinder, line: str) -> bool:
    """Whether a metric comes to have a value: it is counted just after the record is written."""
    return until(lambda: f"binder_{line}" in admin(binder, "/metrics"), expected=True)


@pytest.mark.slow
def test_polling_finds_each_finished_job_and_leaves_others_alone(world: World) -> None:
    done, running, by_hand = world.submit(), world.submit(seed=2), world.submit(seed=3)
    world.account.finish(done)
    world.account.finish(by_hand)
    world.account.jobs["ftjob-hand"] = {**world.account.jobs.pop(by_hand), "id": "ftjob-hand"}
    world.account.jobs["ftjob-hand"]["metadata"] = None
    with running_binder(world.config()) as binder:
        assert until(record(world, done), "bound") == "bound"
        world.account.finish(running)
        assert until(record(world, running), "bound") == "bound"
        health = json.loads(admin(binder, "/healthz"))
        assert health["accounts"]["openai"]["unspecified"] == 1
        assert json.loads(admin(binder, "/readyz")) == {"ready": True}
        assert counted(binder, 'attempts_total{outcome="bound",provider="openai"} 2.0')
        assert counted(binder, 'jobs{progress="bound",provider="openai"} 2.0')
        assert counted(binder, 'read_failing{provider="openai",what="jobs"} 0.0')
    assert len(world.handed_out()) == 4
    assert record(world, "ftjob-hand")() == ""


def test_a_record_that_cannot_be_read_hinders_no_other_job(world: World) -> None:
    broken, job = world.submit(), world.submit(seed=2)
    world.account.finish(broken)
    world.account.finish(job)
    world.binder().state.enqueue("openai", broken)
    (path,) = (world.folder / "state" / "jobs" / "openai").glob("*.json")
    path.write_text("{")
    with running_binder(world.config()):
        assert until(record(world, job), "bound") == "bound"
    assert path.read_text() == "{"


def test_a_specification_that_arrives_late_is_noticed_at_once(world: World) -> None:
    job = world.submit()
    world.account.finish(job)
    (specification,) = (world.folder / "evidence").iterdir()
    config, away = world.config(), specification.rename(world.folder / specification.name)
    due = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    refused = JobRecord("openai", job, Progress.REFUSED, "no specification", 5, due)
    world.binder().state.write(refused)
    with running_binder(config) as binder:
        until(lambda: json.loads(admin(binder, "/readyz"))["ready"], expected=True)
        assert record(world, job)() == "refused"
        away.rename(specification)
        assert until(record(world, job), "bound") == "bound"


def webhooks(world: World, **more: Any) -> Path:
    return world.config(
        webhooks={"address": "127.0.0.1:0", **more},
        account={"webhook_secret_files": ["webhook"], "poll_seconds": 3600},
    )


def test_the_same_webhook_ten_times_binds_once(world: World) -> None:
    job = world.submit()
    with running_binder(webhooks(world)) as binder:
        url = f"http://127.0.0.1:{binder.port}/webhooks/openai"
        until(lambda: json.loads(admin(binder, "/readyz"))["ready"], expected=True)
        world.account.finish(job)
        body = world.account.event(job)
        answers = [post(url, body, world.account.signed(body)) for _ in range(10)]
        assert answers == [(200, {"status": "taken"}), *[(200, {"status": "known"})] * 9]
        assert until(record(world, job), "bound") == "bound"
        assert post(url, body, world.account.signed(body, "wh_2"))[0] == 200
        assert counted(binder, 'webhooks_total{outcome="known",provider="openai"} 9.0')
        assert counted(binder, 'attempts_total{outcome="bound",provider="openai"} 1.0')
    assert len(world.signed()) == len(world.handed_out()) == 2


def test_a_hostile_webhook_is_a_4xx_and_signs_nothing(world: World) -> None:
    job = world.submit()
    world.account.finish(job)
    body = world.account.event(job)
    signed = world.account.signed(body)
    twice = body.replace(b'"data"', b'"data": {"id": "x"}, "data"')
    large = body + b" " * (65 << 10)
    # The listing of jobs does not answer, so that only a webhook could bind one.
    world.account.misbehave = silent
    with running_binder(webhooks(world)) as binder:
        url = f"http://127.0.0.1:{binder.port}/webhooks/openai"
        answers = [
            post(url, body, {**signed, "webhook-signature": "v1,AAAA"})[0],
            post(url, body.replace(b"ftjob", b"ftjo8"), signed)[0],
            post(url, body, world.account.signed(body, at=1_700_000_000))[0],
            post(url, body, {})[0],
            post(url, twice, world.account.signed(twice))[0],
            post(url, large, world.account.signed(large))[0],
            post(url.replace("openai", "azure"), body, signed)[0],
        ]
        failed = world.account.event(job, "fine_tuning.job.failed")
        assert post(url, failed, world.account.signed(failed))[1] == {"status": "ignored"}
    assert answers == [401, 401, 401, 400, 400, 413, 404]
    assert (world.signed(), record(world, job)()) == ([], "")


def test_webhooks_are_received_over_https(world: World) -> None:
    issuer = Issuer()
    ca = pem(issuer.root(datetime.now(UTC)))
    pair = str(certificate(world.folder, issuer, "server.pem"))
    job = world.submit()
    with running_binder(webhooks(world, certificate=pair, key=pair)) as binder:
        url = f"https://localhost:{binder.port}/webhooks/openai"
        body = world.account.event(job)
        context = ssl.create_default_context(cadata=ca)
        assert post(url, body, world.account.signed(body), context)[0] == 200


def test_a_provider_that_does_not_answer_is_shown_and_asked_again(world: World) -> None:
    job = world.submit()
    world.account.finish(job)
    world.account.misbehave = silent
    with running_binder(world.config()) as binder:

        def problem() -> bool:
            (only,) = json.loads(admin(binder, "/healthz"))["rounds"]
            return "HTTP 404" in str(only["problem"])

        assert until(problem, expected=True)
        world.account.misbehave = lambda _handler, _path: False
        assert until(record(world, job), "bound") == "bound"


def problem(binder: RunningBinder) -> str:
    (only,) = json.loads(admin(binder, "/healthz"))["rounds"]
    return str(only["problem"])


def test_an_entry_that_is_no_job_is_shown_and_hinders_no_other(world: World) -> None:
    odd, job = world.submit(), world.submit(seed=2)
    world.account.finish(job)
    world.account.jobs[odd]["metadata"] = {"team": 7}
    with running_binder(world.config()) as binder:
        assert until(record(world, job), "bound") == "bound"
        assert until(lambda: odd in problem(binder), expected=True)


def test_a_key_that_is_replaced_is_used_without_a_restart(world: World) -> None:
    job, config = world.submit(), world.config()
    world.account.finish(job)
    key = world.folder / "key"
    right = key.read_text()
    key.write_text("sk-another-key-that-is-refused")
    with running_binder(config) as binder:
        assert until(lambda: "HTTP 401" in problem(binder), expected=True)
        key.unlink()
        assert until(lambda: "No such file" in problem(binder), expected=True)
        key.write_text(right)
        key.chmod(0o600)
        assert until(record(world, job), "bound") == "bound"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"version": 2}, "version: Input should be 1"),
        ({"accounts": {}}, "accounts: "),
        ({"account": {"key_file": None}}, "key_file: is needed"),
        ({"account": {"region": "eu"}}, "region: an account of openai has none"),
        ({"account": {"key_file": "nowhere"}}, "nowhere: No such file"),
        ({"account": {"webhook_secret_files": ["webhook"]}}, "there is no webhooks"),
        ({"webhooks": {}}, "no account has webhook_secret_files"),
        ({"admin": "127.0.0.1:99999"}, "admin: '127.0.0.1:99999' is not HOST:PORT"),
        ({"evidence": ["nowhere"]}, "nowhere is not a folder"),
        ({"hom": "x"}, "hom: is not a known key; did you mean 'home'?"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_one_line(
    world: World, more: dict[str, Any], why: str
) -> None:
    with (
        pytest.raises(BinderError, match=re.escape(why)) as refused,
        running_binder(world.config(**more)),
    ):
        pass
    assert "\n" not in str(refused.value)
