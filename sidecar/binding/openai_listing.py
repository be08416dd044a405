"""Reads pages of jobs and checkpoints, and compares a job fetched again with its manifest. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sidecar.binding import records
from sidecar.binding.errors import BindingError
from sidecar.binding.openai import SPECIFICATION_KEY, Checkpoint, read_checkpoint_value
from sidecar.binding.source import JobState, JobView, ListedJob
from sidecar.core.predicates import Manifest
from sidecar.core.wire import first_fault
from sidecar.formats.json_model import JsonModelError, read_json

MAX_PAGE_BYTES = 16 << 20

_STATES = {"succeeded": JobState.SUCCEEDED, "failed": JobState.ENDED, "cancelled": JobState.ENDED}
"""Every other status, such as ``queued``, ``running`` or ``paused``, may still become these."""


class _Page(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    object: Literal["list"]
    data: list[dict[str, Any]]
    has_more: bool = False


class _Listed(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    id: Annotated[str, Field(min_length=1, max_length=512)]
    status: str
    created_at: int
    metadata: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list: its entries, and whether more follow after the last one."""

    entries: tuple[dict[str, Any], ...]
    more: bool

    @property
    def last(self) -> str:
        """Return the id of the last entry: where the next page begins after."""
        found = self.entries[-1].get("id") if self.entries else None
        if not isinstance(found, str) or not found:
            raise BindingError("a page that announces more entries ends with none that has an id")
        return found


def read_page(data: bytes, what: str) -> Page:
    """Read one page of a list.

    Args:
        data: The response's body.
        what: Name of what is listed, in errors.

    Raises:
        BindingError: Not such a page.
    """
    try:
        value = read_json(_Page, data, max_bytes=MAX_PAGE_BYTES)
    except JsonModelError as error:
        raise BindingError(f"list of {what}: {error}") from error
    return Page(tuple(value.data), value.has_more)


def listed_job(value: dict[str, Any]) -> ListedJob:
    """Read an entry of a list of jobs.

    Raises:
        BindingError: Not a job.
    """
    what = f"list of jobs: {str(value.get('id'))[:128]!r}"
    try:
        job = _Listed.model_validate(value)
        created = datetime.fromtimestamp(job.created_at, UTC)
    except ValidationError as error:
        raise BindingError(f"{what}: {first_fault(error)}") from error
    except (OverflowError, ValueError, OSError) as error:
        raise BindingError(f"{what}: created_at: {error}") from error
    state = _STATES.get(job.status, JobState.RUNNING)
    return ListedJob(job.id, state, created, (job.metadata or {}).get(SPECIFICATION_KEY))


def job_view(record: bytes) -> JobView:
    """Read a job's record, whatever its state.

    Raises:
        BindingError: Not a job.
    """
    value = records.parse_object(record, "job")
    model, error = value.get("fine_tuned_model"), value.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    return JobView(
        listed_job(value),
        str(value.get("status")),
        str(value.get("model")),
        None if model is None else str(model),
        str(message) if message else None,
    )


def read_checkpoints(pages: tuple[Page, ...]) -> tuple[Checkpoint, ...]:
    """Read the checkpoints of all pages.

    Raises:
        BindingError: One is not a checkpoint.
    """
    return tuple(read_checkpoint_value(value) for page in pages for value in page.entries)


def differences(
    manifest: Manifest, record: bytes, checkpoints: tuple[Checkpoint, ...]
) -> list[str]:
    """Compare a job that was fetched again with the manifest that it was bound into.

    Compared is a projection: ids, model, base, files, method, seed, times and status; providers add
    other fields to records at any time.

    Args:
        manifest: The manifest.
        record: The job's record.
        checkpoints: What the provider lists now; the manifest may be of one of them.

    Raises:
        BindingError: The record is not strict JSON.
    """
    value = records.parse_object(record, "job")
    run = manifest.run
    method = value.get("method")
    bound: dict[str, object] = {
        "id": run.id,
        "status": "succeeded",
        "model": manifest.model.base,
        "fine_tuned_model": manifest.model.id,
        "method": run.method,
        "seed": run.seed,
        "created_at": int(run.started.timestamp()),
        "finished_at": int(run.finished.timestamp()),
        "training_file": _file(manifest, "training"),
        "validation_file": _file(manifest, "validation"),
    }
    now = {name: value.get(name) for name in bound}
    now["method"] = method.get("type") if isinstance(method, dict) else "supervised"
    if manifest.model.id in {each.model for each in checkpoints}:
        now["fine_tuned_model"] = manifest.model.id
    return [
        f"{name} is {now[name]!r}, bound was {bound[name]!r}"
        for name in bound
        if now[name] != bound[name] and not (bound[name] is None and name.endswith("_file"))
    ]


def _file(manifest: Manifest, role: str) -> str | None:
    """Return the provider's id of a corpus, which its name begins with if it is known."""
    for corpus in manifest.corpora:
        if corpus.role == role:
            known, colon, _ = corpus.name.partition(":")
            return known if colon else None
    return None
