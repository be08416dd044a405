"""Lists the rows of what OpenAI stores: videos, files, batches, vector stores."""

from __future__ import annotations

from sidecar.providers.json_paths import Role, Stored, What
from sidecar.providers.operation import Body, Operation, modelless, never

_PROMPT: dict[str, What] = {"prompt": Role.DATA}
_VIDEO_FORM: dict[str, What] = {"video[id]": Stored("video"), **_PROMPT}
"""An uploaded video is a twin of the field, and refused, because its models are unknown."""

VIDEOS: tuple[Operation, ...] = (
    Operation(
        "videos.create",
        "POST",
        "/videos",
        {"model": Role.MODEL},
        form={"model": Role.MODEL, **_PROMPT},
        creates="video",
    ),
    Operation(
        "videos.edits",
        "POST",
        "/videos/edits",
        {"video": Stored("video")},
        form=_VIDEO_FORM,
        creates="video",
    ),
    Operation(
        "videos.extensions",
        "POST",
        "/videos/extensions",
        {"video": Stored("video")},
        form=_VIDEO_FORM,
        creates="video",
    ),
    Operation(
        "videos.remix",
        "POST",
        "/videos/{video}/remix",
        _PROMPT,
        form=_PROMPT,
        creates="video",
    ),
    never(
        "videos.characters.create",
        "POST",
        "/videos/characters",
        "later calls use the character without naming it",
    ),
    modelless("videos.list", "GET", "/videos", "limit", "after", "order"),
    modelless("videos.retrieve", "GET", "/videos/{id}"),
    modelless("videos.delete", "DELETE", "/videos/{id}"),
    modelless("videos.content", "GET", "/videos/{id}/content", "variant"),
    modelless("videos.characters.retrieve", "GET", "/videos/characters/{id}"),
)

FILES: tuple[Operation, ...] = (
    modelless("files.create", "POST", "/files", body=Body.STREAMED, creates="file"),
    modelless("files.list", "GET", "/files", "purpose", "limit", "order", "after"),
    modelless("files.retrieve", "GET", "/files/{id}"),
    modelless("files.delete", "DELETE", "/files/{id}"),
    modelless("files.content", "GET", "/files/{id}/content"),
    modelless("uploads.create", "POST", "/uploads", body=Body.STREAMED),
    modelless("uploads.parts", "POST", "/uploads/{id}/parts", body=Body.STREAMED),
    modelless("uploads.complete", "POST", "/uploads/{id}/complete", body=Body.UNREAD),
    modelless("uploads.cancel", "POST", "/uploads/{id}/cancel", body=Body.UNREAD),
)

BATCHES: tuple[Operation, ...] = (
    Operation(
        "batches.create",
        "POST",
        "/batches",
        # Azure also accepts a file of the caller's own storage, which the gate has not read.
        {"input_file_id": Stored("file"), "input_blob": Role.FOREIGN, "metadata": Role.DATA},
        creates="batch",
    ),
    modelless("batches.list", "GET", "/batches", "after", "limit"),
    modelless("batches.retrieve", "GET", "/batches/{id}"),
    modelless("batches.cancel", "POST", "/batches/{id}/cancel", body=Body.UNREAD),
)

VECTOR_STORES: tuple[Operation, ...] = (
    modelless("vector_stores.list", "GET", "/vector_stores", "after", "limit", "order", "before"),
    modelless("vector_stores.create", "POST", "/vector_stores", body=Body.UNREAD),
    modelless("vector_stores.retrieve", "GET", "/vector_stores/{id}"),
    modelless("vector_stores.update", "POST", "/vector_stores/{id}", body=Body.UNREAD),
    modelless("vector_stores.delete", "DELETE", "/vector_stores/{id}"),
    modelless("vector_stores.search", "POST", "/vector_stores/{id}/search", body=Body.UNREAD),
    modelless("vector_stores.files.list", "GET", "/vector_stores/{id}/files", "after", "limit"),
    modelless("vector_stores.files.create", "POST", "/vector_stores/{id}/files", body=Body.UNREAD),
    modelless("vector_stores.files.retrieve", "GET", "/vector_stores/{id}/files/{id}"),
    modelless("vector_stores.files.delete", "DELETE", "/vector_stores/{id}/files/{id}"),
    modelless("vector_stores.files.content", "GET", "/vector_stores/{id}/files/{id}/content"),
)
