"""Lists the rows of what OpenAI stores, and the keys that name such an object as input."""

from __future__ import annotations

from sidecar.providers.json_paths import Meaning, Owned, Role, Stored
from sidecar.providers.operation import Body, Operation, modelless, never
from sidecar.providers.stored_inputs import StoredInputs

INPUTS = StoredInputs(
    {
        "file_id": "file",
        "file_ids": "file",
        "training_file": "file",
        "validation_file": "file",
        "vector_store_id": "vector_store",
        "vector_store_ids": "vector_store",
        "container": "container",
        "container_id": "container",
        "environment_id": "agent_environment",
        "environment_template_id": "agent_template",
        "vault_id": "vault",
        "vault_ids": "vault",
        "credential_id": "vault_credential",
    },
    data=frozenset({"annotations", "attributes", "env", "headers", "metadata", "request_metadata"}),
)
"""Annotations are an earlier response's; the files in them are not read again."""

_PROMPT: dict[str, Meaning] = {"prompt": Role.DATA}
_VIDEO_FORM: dict[str, Meaning] = {"video[id]": Stored("video"), **_PROMPT}
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
    modelless("videos.retrieve", "GET", "/videos/{video}"),
    modelless("videos.delete", "DELETE", "/videos/{video}"),
    modelless("videos.content", "GET", "/videos/{video}/content", "variant", fetches=True),
    modelless("videos.characters.retrieve", "GET", "/videos/characters/{video_character}"),
)

FILES: tuple[Operation, ...] = (
    modelless("files.create", "POST", "/files", body=Body.STREAMED, creates="file"),
    modelless("files.list", "GET", "/files", "purpose", "limit", "order", "after"),
    modelless("files.retrieve", "GET", "/files/{file}"),
    modelless("files.delete", "DELETE", "/files/{file}"),
    modelless("files.content", "GET", "/files/{file}/content", fetches=True),
    modelless("uploads.create", "POST", "/uploads", body=Body.STREAMED, creates="upload"),
    modelless("uploads.parts", "POST", "/uploads/{upload}/parts", body=Body.STREAMED),
    modelless(
        "uploads.complete",
        "POST",
        "/uploads/{upload}/complete",
        body=Body.UNREAD,
        also={"file.id": "file"},
    ),
    modelless("uploads.cancel", "POST", "/uploads/{upload}/cancel", body=Body.UNREAD),
)

_RESULTS = {"output_file_id": "file", "error_file_id": "file"}
"""Files that the provider writes for a batch; they hold no calls that were admitted."""

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
    modelless("batches.retrieve", "GET", "/batches/{batch}", also=_RESULTS),
    modelless("batches.cancel", "POST", "/batches/{batch}/cancel", body=Body.UNREAD, also=_RESULTS),
)

_FILE_BATCHES = "/vector_stores/{vector_store}/file_batches"

VECTOR_STORES: tuple[Operation, ...] = (
    modelless("vector_stores.list", "GET", "/vector_stores", "after", "limit", "order", "before"),
    modelless(
        "vector_stores.create",
        "POST",
        "/vector_stores",
        reads={
            "file_ids[]": Owned("file"),
            "chunking_strategy": Role.DATA,
            "expires_after": Role.DATA,
            "metadata": Role.DATA,
        },
        creates="vector_store",
    ),
    modelless("vector_stores.retrieve", "GET", "/vector_stores/{vector_store}"),
    modelless("vector_stores.update", "POST", "/vector_stores/{vector_store}", body=Body.UNREAD),
    modelless("vector_stores.delete", "DELETE", "/vector_stores/{vector_store}"),
    modelless(
        "vector_stores.search", "POST", "/vector_stores/{vector_store}/search", body=Body.UNREAD
    ),
    modelless(
        "vector_stores.files.list", "GET", "/vector_stores/{vector_store}/files", "after", "limit"
    ),
    modelless(
        "vector_stores.files.create",
        "POST",
        "/vector_stores/{vector_store}/files",
        reads={
            "file_id": Owned("file"),
            "attributes": Role.DATA,
            "chunking_strategy": Role.DATA,
        },
    ),
    modelless(
        "vector_stores.files.update",
        "POST",
        "/vector_stores/{vector_store}/files/{id}",
        reads={"attributes": Role.DATA},
    ),
    modelless("vector_stores.files.retrieve", "GET", "/vector_stores/{vector_store}/files/{id}"),
    modelless("vector_stores.files.delete", "DELETE", "/vector_stores/{vector_store}/files/{id}"),
    modelless(
        "vector_stores.files.content", "GET", "/vector_stores/{vector_store}/files/{id}/content"
    ),
    modelless(
        "vector_stores.file_batches.create",
        "POST",
        _FILE_BATCHES,
        reads={
            "file_ids[]": Owned("file"),
            "files[].file_id": Owned("file"),
            "files[].attributes": Role.DATA,
            "files[].chunking_strategy": Role.DATA,
            "attributes": Role.DATA,
            "chunking_strategy": Role.DATA,
        },
    ),
    modelless("vector_stores.file_batches.retrieve", "GET", f"{_FILE_BATCHES}/{{id}}"),
    modelless(
        "vector_stores.file_batches.cancel",
        "POST",
        f"{_FILE_BATCHES}/{{id}}/cancel",
        body=Body.UNREAD,
    ),
    modelless(
        "vector_stores.file_batches.files", "GET", f"{_FILE_BATCHES}/{{id}}/files", "after", "limit"
    ),
)

_CONTAINER_FILES = "/containers/{container}/files"

CONTAINERS: tuple[Operation, ...] = (
    modelless("containers.list", "GET", "/containers", "after", "limit", "order", "name"),
    modelless("containers.create", "POST", "/containers", body=Body.UNREAD, creates="container"),
    modelless("containers.retrieve", "GET", "/containers/{container}"),
    modelless("containers.delete", "DELETE", "/containers/{container}"),
    modelless("containers.files.list", "GET", _CONTAINER_FILES, "after", "limit", "order"),
    modelless(
        "containers.files.create",
        "POST",
        _CONTAINER_FILES,
        reads={"file_id": Owned("file")},
        form={"file_id": Owned("file")},
    ),
    modelless("containers.files.retrieve", "GET", f"{_CONTAINER_FILES}/{{id}}"),
    modelless("containers.files.delete", "DELETE", f"{_CONTAINER_FILES}/{{id}}"),
    modelless(
        "containers.files.content", "GET", f"{_CONTAINER_FILES}/{{id}}/content", fetches=True
    ),
)
"""Where the code interpreter runs; files that it writes are read below their container."""
