"""``admit binder serve`` as processes: killed at any moment, twice at once, and stopped."""

from __future__ import annotations

import signal
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.binder import config as binder_config
from tests.process.cli.admit import admit
from tests.process.cli.binders import Serving, binders, bound
from tests.support.guides import ROOT
from tests.support.provider.openai_jobs import KEY, WEBHOOK_SECRET, Handler, OpenAiJobs, serving
from tests.support.provider.producer import World
from tests.support.site.talk import until


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with serving(OpenAiJobs()) as account:
        made = World(account, tmp_path)
        yield made
        made.close()


def test_a_binder_that_is_killed_in_a_download_is_followed_by_one_that_binds(world: World) -> None:
    config, job = world.config(), world.submit()
    world.account.finish(job)
    held, released = threading.Event(), threading.Event()

    def hold(handler: Handler, path: str) -> bool:
        """Send half of the training file, and no more until the test is over."""
        if not path.endswith("file-0001/content"):
            return False
        data = world.account.files["file-0001"][1]
        handler.send_response(200)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2])
        handler.wfile.flush()
        held.set()
        released.wait(60)
        return True

    world.account.misbehave = hold
    with binders(config) as (first,):
        assert held.wait(60)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    released.set()
    assert (world.signed(), bound(config)) == ([], [])
    world.account.misbehave = lambda _handler, _path: False
    with binders(config) as (second,):
        assert until(lambda: bound(config), [job]) == [job]
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(60) == 0
    assert len(world.signed()) == len(world.handed_out()) == 2


def test_two_binders_that_get_the_same_webhook_five_times_bind_once(world: World) -> None:
    job = world.submit()
    more = {
        "account": {"webhook_secret_files": ["webhook"], "poll_seconds": 3600},
        "webhooks": {"address": "127.0.0.1:0"},
    }
    # Two machines with one home: each has a state folder of its own.
    one = world.config(name="one.yaml", state="one", **more)
    other = world.config(name="other.yaml", state="other", **more)
    with binders(one, other) as both:
        urls = [f"{each.url('webhooks')}/webhooks/openai" for each in both]
        world.account.finish(job)
        body = world.account.event(job)
        for _ in range(5):
            for url in urls:
                headers = world.account.signed(body)
                asked = urllib.request.Request(url, body, headers, method="POST")
                with urllib.request.urlopen(asked, timeout=60) as answer:
                    assert answer.status == 200
        for config in (one, other):
            assert until(lambda config=config: bound(config), [job]) == [job]  # type: ignore[misc]
        # A job is on record as bound before that is logged.
        assert until(lambda: logged(both, "job_bound"), 2) == 2
    assert len(world.signed()) == len(world.handed_out()) == 2
    assert logged(both, "manifest_signed") == 2
    kept = [path for path in world.folder.rglob("*") if path.is_file()]
    for secret in (KEY, WEBHOOK_SECRET):
        found = [path.name for path in kept if secret.encode() in path.read_bytes()]
        assert found == ["key" if secret == KEY else "webhook"]


def logged(running: list[Serving], event: str) -> int:
    """How often binders have logged an event."""
    return [line.get("event") for each in running for line in each.lines()].count(event)


def test_what_is_wrong_is_one_line_and_what_is_known_is_listed(world: World) -> None:
    config = world.config()
    admit("binder", "serve", "--config", config, "--check")
    config.write_text("version: 2\n")
    refused = admit("binder", "serve", "--config", config, code=2).stderr.decode()
    assert refused == f"admit: {config}: version: Input should be 1\n"
    job = world.submit()
    world.binder().state.enqueue("openai", job)
    listed = admit("binder", "jobs", "--config", world.config()).stdout.decode()
    row = listed.splitlines()[1].split()
    assert row == [job, "openai", "pending", "at", "once"]


def test_the_example_is_a_configuration() -> None:
    loaded = binder_config.load(ROOT / "deploy" / "binder" / "binder.yaml")
    assert [each.provider for each in loaded.accounts] == ["openai", "azure"]
