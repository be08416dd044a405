"""A producer with a job, as a binder finds it, and a binder that runs in the test's own process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from sidecar.authority import home as authority
from sidecar.authority import records
from sidecar.binder import config as binder_config
from sidecar.binder.binder import Binder, BindingSettings
from sidecar.binder.endpoint import Endpoint
from sidecar.binder.job_records import JobRecords
from sidecar.binder.openai_creator import OpenAiCreator
from sidecar.binder.openai_source import OpenAiSource
from sidecar.binder.run import RunningBinder
from sidecar.binder.secrets import Secret
from sidecar.binder.submission import SubmissionFolder, prepare, submit
from sidecar.core.evidence import Statement
from sidecar.core.predicates import SPECIFICATION, Manifest, Subject, specification_blob
from sidecar.core.wire import DigestSet
from tests.support.loop_thread import loop_thread
from tests.support.provider.openai_jobs import KEY, WEBHOOK_SECRET, OpenAiJobs
from tests.unit.binder.helpers import asked, files, known, now
from tests.unit.binding.jobs import ENVELOPE, ENVIRONMENTS, sha

MODELS = ("openai/**",)


class World:
    """A producer's home, a signed specification, and a job that was submitted under it."""

    def __init__(self, account: OpenAiJobs, folder: Path) -> None:
        self.account = account
        self.folder = folder
        self.home = authority.init(folder / "home", "tuning-lab", now=now() - timedelta(hours=2))
        self.specification = self.specify()
        self.source = OpenAiSource(
            "openai", Endpoint("openai", f"{account.url}/v1", Secret(KEY, "test"))
        )

    def specify(self) -> str:
        blob = specification_blob(ENVIRONMENTS, ENVELOPE)
        subject = Subject("support", DigestSet(sha(blob).sha256))
        statement = Statement(subject, SPECIFICATION, known(MODELS).specification)
        customer = authority.init(self.folder / "customer", "acme", now=now() - timedelta(hours=2))
        issued = authority.issue(customer, statement, now(), out=self.folder / "evidence")
        return issued.digest

    def submit(self, **more: Any) -> str:
        request = asked(**more)
        specified = replace(known(MODELS), digest=self.specification)
        submission = prepare(
            request, files(self.folder), specified, now(), classes=("personal-data",)
        )
        creator = OpenAiCreator("openai", self.source.endpoint)
        done, _ = submit(submission, SubmissionFolder(self.folder / "submissions"), creator, now)
        creator.close()
        return str(done.job)

    def close(self) -> None:
        self.source.close()

    def binder(self, state: str = "state", out: str = "out") -> Binder:
        settings = BindingSettings(
            home=self.home,
            out=self.folder / out,
            blobs=self.folder / "blobs",
            evidence=(self.folder / "evidence", self.folder / out),
            submissions=self.folder / "submissions",
        )
        return Binder(settings, JobRecords(self.folder / state), now)

    def signed(self) -> list[Manifest]:
        found = (each.statement.predicate for each in records.of_kind(self.home.path, "manifest"))
        return [each for each in found if isinstance(each, Manifest)]

    def handed_out(self, out: str = "out") -> list[str]:
        return sorted(path.name for path in (self.folder / out).glob("*.dsse.json"))

    def config(self, **more: Any) -> Path:
        """Write ``binder.yaml`` for this account, and the credentials that it names."""
        for name, text in (("key", KEY), ("webhook", WEBHOOK_SECRET)):
            secret = self.folder / name
            secret.write_text(text)
            secret.chmod(0o600)
        account = {
            "api": "openai",
            "base_url": f"{self.account.url}/v1",
            "key_file": "key",
            "poll_seconds": 0.2,
        }
        value = {
            "version": 1,
            "home": "home",
            "out": "out",
            "blobs": "blobs",
            "state": "state",
            "evidence": ["evidence", "out"],
            "submissions": "submissions",
            "accounts": {"openai": account | more.pop("account", {})},
            "admin": "127.0.0.1:0",
        }
        for name in ("out", "evidence"):
            (self.folder / name).mkdir(exist_ok=True)
        path: Path = self.folder / str(more.pop("name", "binder.yaml"))
        path.write_text(yaml.safe_dump(value | more))
        return path


@contextmanager
def running_binder(path: Path) -> Iterator[RunningBinder]:
    """Run a binder until the block ends."""
    with loop_thread("binder") as wait:
        binder = RunningBinder(binder_config.load(path))
        wait(binder.start())
        try:
            yield binder
        finally:
            wait(binder.stop())
