"""Binds one finished job into the manifests of everything that it made.

Theory of operation. A job is claimed, fetched again, and compared with its submission where there
is one. Each of its models gets a manifest of its own. Before one is signed, the home that signs is
asked whether it signed one for that model and run already; the question and the signature are under
one lock of the home. So a job is bound once, whichever binder is told of it, however often, and
whenever one is killed: ``authority.signing.issue`` records a manifest and hands it out in one
commit.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from sidecar.authority import home as authority
from sidecar.authority import records
from sidecar.authority.errors import AuthorityError
from sidecar.authority.open_home import Home
from sidecar.authority.records import RecordedStatement
from sidecar.binder import library
from sidecar.binder.errors import BinderError
from sidecar.binder.job_records import JobRecord, JobRecords, Progress
from sidecar.binder.locks import ClaimedError, claimed
from sidecar.binder.submission import Submission, SubmissionFolder
from sidecar.binding.errors import BindingError
from sidecar.binding.job import AdaptedModel, Declared, bind_model
from sidecar.binding.model_files import Progress as ByteProgress
from sidecar.binding.source import FinishedJob, JobSource, SourceError
from sidecar.core.evidence import Statement, write_statement
from sidecar.core.grants import ALWAYS_REQUIRED
from sidecar.core.predicates import Manifest, Predicate
from sidecar.core.reasons import EvidenceError
from sidecar.core.window import Window
from sidecar.durable.files import place_new
from sidecar.observe.json_lines import event

log = logging.getLogger("sidecar.binder")

HOME_LOCK = ".binding.lock"


@dataclass(frozen=True, slots=True)
class BindingSettings:
    """What every manifest of a binder has in common.

    Attributes:
        home: The home that signs manifests.
        out: Folder that manifests are handed out from.
        blobs: Folder of the files whose digests they name.
        evidence: Folders that have specifications, and manifests of parents.
        submissions: Folder of ``admit job submit``; ``None`` without one.
        validity: How long a manifest is valid.
        roles: Roles that must approve beside those that always must.
        classes: Data classes of corpora that were not submitted from here.
        declarations: By name, for policies.
    """

    home: Home
    out: Path
    blobs: Path
    evidence: tuple[Path, ...]
    submissions: Path | None = None
    validity: timedelta = timedelta(days=180)
    roles: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    declarations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bound:
    """A manifest of the home: its model, digest, and whether this call signed it."""

    model: str
    digest: str
    new: bool


class Binder:
    """Binds jobs with one home.

    Args:
        settings: What manifests have in common.
        state: The state folder.
        now: The clock.
    """

    def __init__(
        self, settings: BindingSettings, state: JobRecords, now: Callable[[], datetime]
    ) -> None:
        self.settings = settings
        self.state = state
        self._now = now

    def attempt(
        self, source: JobSource, job: str, progress: ByteProgress | None = None
    ) -> JobRecord | None:
        """Try to bind a job, and record the outcome; never raises for what a provider does.

        Returns:
            The job's record, or ``None`` where another process works on the job.
        """
        try:
            with self.state.claimed(source.provider, job):
                return self._attempt(source, job, progress)
        except ClaimedError:
            return None

    def _attempt(self, source: JobSource, job: str, progress: ByteProgress | None) -> JobRecord:
        known = self.state.read(source.provider, job) or JobRecord(source.provider, job)
        if known.progress is Progress.BOUND:
            return known
        try:
            bound = self.bind(source, job, progress)
        except SourceError as error:
            return self._put_off(known, str(error), refused=False)
        except (BindingError, BinderError, AuthorityError, EvidenceError, OSError) as error:
            return self._put_off(known, str(error), refused=True)
        manifests = {each.model: each.digest for each in bound}
        done = replace(known, progress=Progress.BOUND, reason="", manifests=manifests)
        self.state.write(done)
        shutil.rmtree(self.state.work(source.provider, job), ignore_errors=True)
        log.info(
            "job %s of %s is bound: %d manifests",
            job,
            source.provider,
            len(bound),
            extra=event("job_bound", provider=source.provider, job=job, manifests=manifests),
        )
        return done

    def _put_off(self, known: JobRecord, reason: str, *, refused: bool) -> JobRecord:
        later = known.put_off(reason, self._now(), refused=refused)
        if reason != known.reason:
            what = "cannot be bound" if refused else "is not bound yet"
            log.warning(
                "job %s of %s %s: %s",
                known.job,
                known.provider,
                what,
                reason,
                extra=event(
                    "job_refused" if refused else "job_waits",
                    provider=known.provider,
                    job=known.job,
                    reason=reason,
                ),
            )
        self.state.write(later)
        return later

    def bind(
        self, source: JobSource, job: str, progress: ByteProgress | None = None
    ) -> tuple[Bound, ...]:
        """Fetch a job and sign a manifest for each of its models that has none yet.

        Raises:
            SourceError: The provider cannot be asked now.
            BindingError: The job cannot be bound.
            BinderError: Something that the binding needs is not there.
            AuthorityError: The home cannot sign.
        """
        submission = self._submission(source.provider, job)
        classes = self.settings.classes
        if submission is not None:
            classes = submission.uploads[0].corpus.classes
        work = self.state.work(source.provider, job)
        finished = source.fetch(job, work, classes, progress)
        for text in finished.irregular:
            log.warning("job %s: the run succeeded with irregular lines: %s", job, text)
        declared = self._declared(source.provider, finished, submission)
        return tuple(self._signed(model, declared) for model in finished.models)

    def _submission(self, provider: str, job: str) -> Submission | None:
        if self.settings.submissions is None:
            return None
        return SubmissionFolder(self.settings.submissions).of_job(provider, job)

    def _declared(
        self, provider: str, finished: FinishedJob, submission: Submission | None
    ) -> Declared:
        digest = _specification(finished, submission)
        known = library.specification(self.settings.evidence, digest)
        if submission is not None:
            _compare(finished, submission)
        model = finished.models[0]
        parent = None
        if model.base_is_adapted:
            home, folders = self.settings.home, self.settings.evidence
            parent = library.manifest_of((home,), folders, provider, model.base)
        begin = self._now()
        return Declared(
            corpora=finished.corpora,
            outputs=finished.outputs,
            envelope=known.specification.envelope,
            environments=known.specification.environments,
            required_roles=tuple(dict.fromkeys((*ALWAYS_REQUIRED, *self.settings.roles))),
            window=Window(begin, begin + self.settings.validity),
            provider=provider,
            parent=parent,
            specification=known,
            declarations=self.settings.declarations,
        )

    def _signed(self, model: AdaptedModel, declared: Declared) -> Bound:
        bound = bind_model(model, declared)
        home = self.settings.home
        with claimed(home.path / HOME_LOCK, wait=True):
            existing = self._existing(bound.statement.predicate)
            if existing is not None:
                self._hand_out(existing)
                self._write_blobs(existing.statement, bound.artifact, existing.digest)
                return Bound(model.id, existing.digest, new=False)
            issued = authority.issue(home, bound.statement, self._now(), out=self.settings.out)
            self._write_blobs(issued.statement, bound.artifact, issued.digest)
            log.info(
                "signed %s",
                issued.path,
                extra=event("manifest_signed", digest=issued.digest, file=str(issued.path)),
            )
            return Bound(model.id, issued.digest, new=True)

    def _existing(self, manifest: Manifest) -> RecordedStatement | None:
        """Return the home's manifest for this model and run, if there is one."""
        wanted = (manifest.model.provider, manifest.model.id, manifest.run.id)
        for recorded in records.of_kind(self.settings.home.path, "manifest"):
            known = recorded.statement.predicate
            if isinstance(known, Manifest):
                names = (known.model.provider, known.model.id, known.run.id)
                if names == wanted:
                    return recorded
        return None

    def _hand_out(self, known: RecordedStatement) -> None:
        """Place a manifest that was signed before where this binder hands out its own."""
        data = records.envelope(self.settings.home.path, known.digest)
        place_new(self.settings.out, f"manifest-{known.digest[:12]}", records.SUFFIX, data)

    def _write_blobs(self, statement: Statement[Predicate], artifact: bytes, digest: str) -> None:
        """Write the files whose digests a manifest has.

        A record to which the provider added fields since is not the artifact that was bound.
        """
        stem = f"manifest-{digest[:12]}"
        if hashlib.sha256(artifact).hexdigest() == statement.subject.digest.sha256:
            place_new(self.settings.blobs, stem, ".artifact.json", artifact)
        place_new(self.settings.blobs, stem, ".statement.json", write_statement(statement))


def _specification(finished: FinishedJob, submission: Submission | None) -> str:
    """Return the digest of the specification that the job was submitted under.

    Raises:
        BindingError: It names none, or another than was submitted.
    """
    named = finished.specification
    if submission is not None and named is not None and named != submission.specification:
        raise BindingError(
            f"job {finished.id}: names the specification {named}, but was submitted under "
            f"{submission.specification}"
        )
    found = named or (None if submission is None else submission.specification)
    if found is None:
        raise BindingError(
            f"job {finished.id}: was submitted under no specification, so a model of it is "
            "admissible nowhere; submit it with: admit job submit"
        )
    return found


def _compare(finished: FinishedJob, submission: Submission) -> None:
    """Require the corpora that were submitted."""
    read = {each.role: each.digest.sha256 for each in finished.corpora}
    sent = {each.corpus.role: each.corpus.digest.sha256 for each in submission.uploads}
    for role in sorted(read.keys() | sent.keys()):
        if read.get(role) != sent.get(role):
            raise BindingError(
                f"job {finished.id}: its {role} file has the digest {read.get(role)}, but "
                f"{sent.get(role)} was submitted"
            )
