"""Binds a LoRA adapter's folder, as PEFT saves it, into a manifest.

Theory of operation. No trainer records what an adapter was made from, so the producer declares run,
base model and quantisation, and whatever the files state of them is compared. The artifact is the
digest of every file in the folder (``model_files``): a server that loads the same folder runs what
was approved, whatever name it is loaded under. Nothing is loaded: ``adapter_config.json`` and the
headers of safetensors files are parsed here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sidecar.binding import model_files
from sidecar.binding.errors import BindingError
from sidecar.binding.job import AdaptedModel
from sidecar.binding.model_files import ModelFiles, Progress
from sidecar.binding.safetensors import Tensor
from sidecar.core import strict_json
from sidecar.core.predicates import Run
from sidecar.core.wire import first_fault

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
BASE_CONFIG = "config.json"
CARD = "README.md"

UNKNOWN = "unknown"
"""The quantisation where neither the producer nor a file states it."""

_REVISION = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_A_FOLDER = re.compile(r"(/|\.{1,2}/|~|[A-Za-z]:[\\/])")
_QUANTISED_NAME = re.compile(r"[-_](?:bnb-(4|8)bit|(gptq|awq))(?:[-_]|$)", re.IGNORECASE)
_CARD_LINE = re.compile(r"^- (load_in_4bit|load_in_8bit): True\s*$", re.MULTILINE)
_FACTOR = re.compile(r"(.*\.lora_(?:embedding_)?)([AB])((?:\.weight)?)")
"""Name of one of the two factors of a LoRA pair, by PEFT's convention."""

_Text = Annotated[str, Field(max_length=512)]
"""A name; trainers write an empty text for an unknown one."""


class _Config(BaseModel):
    """What is read of ``adapter_config.json``; PEFT adds keys with every release."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    peft_type: str
    base_model_name_or_path: _Text | None = None
    revision: _Text | None = None
    r: Annotated[int, Field(ge=1)]
    rank_pattern: dict[str, int] | None = None
    target_parameters: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter as its files describe it.

    Attributes:
        config: ``adapter_config.json``.
        base: The base model that it names; ``None`` if it names none, or a folder of the trainer.
        revision: The base's revision that it names, if that is a commit or digest.
        quantisations: As files state it: place → name, e.g. ``bnb-4bit``.
        files: Every file of the folder.
    """

    config: Mapping[str, Any]
    base: str | None
    revision: str | None
    quantisations: Mapping[str, str]
    files: ModelFiles


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """What the producer declares of the run.

    Attributes:
        id: The run's id, by which it can be withdrawn.
        started: Aware.
        finished: Aware.
        base: Id of the base model; ``None`` to take the one that the adapter names.
        base_revision: Its commit or digest; ``None`` as for ``base``.
        quantisation: Of the base model in training, or ``none``; ``None`` as for ``base``.
        seed: If one was set.
    """

    id: str
    started: datetime
    finished: datetime
    base: str | None = None
    base_revision: str | None = None
    quantisation: str | None = None
    seed: int | None = None


def read_adapter(folder: Path, progress: Progress | None = None) -> Adapter:
    """Read an adapter's folder in one pass; files of any size are streamed.

    Raises:
        BindingError: As ``model_files.read_folder``; not one LoRA adapter; or its weights and its
            configuration do not agree.
    """
    keep = frozenset({CONFIG, BASE_CONFIG, CARD})
    files = model_files.read_folder(folder, keep, progress)
    if CONFIG not in files.kept or WEIGHTS not in files.tensors:
        lacking = CONFIG if CONFIG not in files.kept else WEIGHTS
        raise BindingError(f"{folder}: has no {lacking}; expected an adapter as PEFT saves it")
    nested = [name for name in files.digests if name.endswith(f"/{CONFIG}")]
    if nested:
        raise BindingError(
            f"{folder}: {', '.join(nested)}: is an adapter of its own; bind each in its own folder"
        )
    what = str(folder / CONFIG)
    value = _object(files.kept[CONFIG], what)
    config = _config(value, what)
    _check_weights(config, files.tensors[WEIGHTS], str(folder / WEIGHTS))
    base = config.base_model_name_or_path
    pinned = config.revision if config.revision and _REVISION.fullmatch(config.revision) else None
    return Adapter(
        config=value,
        base=None if not base or _A_FOLDER.match(base) else base,
        revision=pinned,
        quantisations=_quantisations(folder, files),
        files=files,
    )


def adapted_model(name: str, adapter: Adapter, run: TrainingRun) -> AdaptedModel:
    """Return the adapter as a model that calls name ``name``.

    Raises:
        BindingError: A declaration and the files do not agree; or the base model, or the revision
            of it, is stated by neither.
    """
    base = _agreed("--base", run.base, adapter.base, "base model")
    revision = _agreed("--base-revision", run.base_revision, adapter.revision, "base's revision")
    if not _REVISION.fullmatch(revision):
        raise BindingError(
            f"--base-revision {revision!r}: can be moved to other weights; give the commit "
            "(40 hex digits) or the SHA-256 (64) that was trained on"
        )
    quantisation = _quantisation(adapter, base, run.quantisation)
    hyperparameters = {
        key: value
        for key, value in adapter.config.items()
        if value is not None and key not in {"base_model_name_or_path", "revision"}
    }
    return AdaptedModel(
        id=name,
        base=base,
        base_is_adapted=False,
        run=Run(
            id=run.id,
            method="lora" if quantisation in {"none", UNKNOWN} else "qlora",
            hyperparameters=hyperparameters
            | {"base_revision": revision, "quantisation": quantisation},
            started=run.started,
            finished=run.finished,
            seed=run.seed,
        ),
        artifact=adapter.files.artifact,
    )


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        return strict_json.loads_object(data, max_bytes=model_files.MAX_KEPT_BYTES)
    except strict_json.StrictJsonError as error:
        raise BindingError(f"{what}: {error}") from error


def _config(value: dict[str, Any], what: str) -> _Config:
    try:
        config = _Config.model_validate(value)
    except ValidationError as error:
        raise BindingError(f"{what}: {first_fault(error)}") from error
    if config.peft_type != "LORA":
        raise BindingError(f"{what}: peft_type is {config.peft_type!r}, expected 'LORA'")
    return config


def _check_weights(config: _Config, tensors: tuple[Tensor, ...], what: str) -> None:
    """Require pairs of factors, with the configured rank where that is one number."""
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    ranked = not config.rank_pattern and not config.target_parameters
    pairs = 0
    for name, shape in shapes.items():
        found = _FACTOR.fullmatch(name)
        if found is None:
            continue
        before, factor, after = found.groups()
        partner = f"{before}{'B' if factor == 'A' else 'A'}{after}"
        if partner not in shapes:
            raise BindingError(f"{what}: has tensor {name}, but no {partner}")
        # PEFT's factors are A (rank, inputs, …) and B (outputs, rank, …).
        rank = shape["AB".index(factor)] if len(shape) > 1 else 0
        if ranked and rank != config.r:
            raise BindingError(
                f"{what}: tensor {name} has the rank {rank}, but {CONFIG} states r: {config.r}"
            )
        pairs += 1
    if not pairs:
        raise BindingError(f"{what}: has no tensor of a LoRA adapter (lora_A, lora_B)")


def _quantisations(folder: Path, files: ModelFiles) -> dict[str, str]:
    """Return each place in the files that states the quantisation, and the one it states."""
    card = files.kept.get(CARD, b"").decode("utf-8", errors="replace")
    stated = {
        f"{CARD} ({line})": "bnb-4bit" if line == "load_in_4bit" else "bnb-8bit"
        for line in _CARD_LINE.findall(card)
    }
    if BASE_CONFIG in files.kept:
        value = _object(files.kept[BASE_CONFIG], str(folder / BASE_CONFIG))
        found = value.get("quantization_config")
        if isinstance(found, dict):
            stated[f"{BASE_CONFIG} (quantization_config)"] = _by_config(found)
    return stated


def _quantisation(adapter: Adapter, base: str, given: str | None) -> str:
    """Return the one quantisation that option, files and the base model's name state."""
    stated = dict(adapter.quantisations)
    if (named := _QUANTISED_NAME.search(base)) is not None:
        bits, method = named.groups()
        stated[f"the base model's name {base}"] = f"bnb-{bits}bit" if bits else method.lower()
    if given is not None:
        stated["--quantisation"] = given
    if len(set(stated.values())) > 1:
        places = ", ".join(f"{name} by {place}" for place, name in stated.items())
        raise BindingError(f"the quantisation differs: {places}")
    return next(iter(stated.values()), UNKNOWN)


def _by_config(value: dict[str, Any]) -> str:
    """Return the name of a ``quantization_config`` of the ``transformers`` library."""
    for key, name in (("load_in_4bit", "bnb-4bit"), ("load_in_8bit", "bnb-8bit")):
        if value.get(key) is True:
            return name
    return str(value.get("quant_method", UNKNOWN)).lower()


def _agreed(option: str, given: str | None, stated: str | None, what: str) -> str:
    """Return what an option and the files state; they must be equal where both do."""
    if given is None and stated is None:
        raise BindingError(f"the adapter's files do not state the {what}: give {option}")
    if given is not None and stated is not None and given != stated:
        raise BindingError(f"{option} is {given!r}, but the adapter's files state {stated!r}")
    return str(given if given is not None else stated)
