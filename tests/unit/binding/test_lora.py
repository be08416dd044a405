"""A LoRA adapter is bound as its files state it; a declaration that differs is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sidecar.binding import job, lora
from sidecar.binding.errors import BindingError
from sidecar.binding.job import AdaptedModel
from sidecar.binding.lora import TrainingRun
from sidecar.core.evidence import parse_statement, write_statement
from sidecar.core.predicates import ModelClaim, Run
from tests.unit.binding.adapters import BASE, CONFIG, LAYER, REVISION, SHAPES, lay_out
from tests.unit.binding.jobs import DECLARED

STARTED = datetime(2026, 1, 1, 8, tzinfo=UTC)
FINISHED = datetime(2026, 1, 1, 9, tzinfo=UTC)
STATED = TrainingRun("run-7", STARTED, FINISHED, seed=42)
HYPERPARAMETERS = {
    key: CONFIG[key]
    for key in CONFIG
    if key not in {"auto_mapping", "base_model_name_or_path", "revision"}
}


def adapted(folder: Path, **declared: Any) -> AdaptedModel:
    return lora.adapted_model("support-v3", lora.read_adapter(folder), replace(STATED, **declared))


def refusal(folder: Path, **declared: Any) -> str:
    with pytest.raises(BindingError) as caught:
        adapted(folder, **declared)
    return str(caught.value)


def test_an_adapter_becomes_exactly_this_model(tmp_path: Path) -> None:
    folder = lay_out(tmp_path)
    assert adapted(folder) == AdaptedModel(
        id="support-v3",
        base=BASE,
        base_is_adapted=False,
        run=Run(
            id="run-7",
            method="lora",
            hyperparameters={
                **HYPERPARAMETERS,
                "base_revision": REVISION,
                "quantisation": "unknown",
            },
            started=STARTED,
            finished=FINISHED,
            seed=42,
        ),
        artifact=lora.read_adapter(folder).files.artifact,
    )


def test_the_gate_reads_back_the_adapter_that_was_bound(tmp_path: Path) -> None:
    bound = job.bind_model(adapted(lay_out(tmp_path)), replace(DECLARED, provider="vllm"))
    statement = parse_statement(write_statement(bound.statement))
    assert statement == bound.statement
    assert bound.statement.predicate.model == ModelClaim("vllm", "support-v3", BASE)


@pytest.mark.parametrize("named", [None, "", "/mnt/models/qwen", "./qwen", "../qwen", "~/qwen"])
def test_a_base_that_the_files_do_not_name_is_declared(tmp_path: Path, named: str | None) -> None:
    folder = lay_out(tmp_path / "adapter", base_model_name_or_path=named, revision="main")
    assert refusal(folder) == "the adapter's files do not state the base model: give --base"
    given = {"base": BASE, "base_revision": REVISION}
    assert adapted(folder, **given) == replace(
        adapted(lay_out(tmp_path / "full")), artifact=lora.read_adapter(folder).files.artifact
    )


@pytest.mark.parametrize(
    ("config", "declared", "why"),
    [
        (
            {},
            {"base": "Qwen/Qwen3-8B"},
            f"--base is 'Qwen/Qwen3-8B', but the adapter's files state '{BASE}'",
        ),
        (
            {},
            {"base_revision": "ab" * 20},
            f"--base-revision is '{'ab' * 20}', but the adapter's files state '{REVISION}'",
        ),
        (
            {"revision": None},
            {},
            "the adapter's files do not state the base's revision: give --base-revision",
        ),
        (
            {"revision": "main"},
            {"base_revision": "main"},
            "--base-revision 'main': can be moved to other weights; give the commit (40 hex "
            "digits) or the SHA-256 (64) that was trained on",
        ),
        (
            {"base_model_name_or_path": "unsloth/Qwen3-8B-unsloth-bnb-4bit"},
            {"quantisation": "none"},
            "the quantisation differs: bnb-4bit by the base model's name "
            "unsloth/Qwen3-8B-unsloth-bnb-4bit, none by --quantisation",
        ),
    ],
)
def test_a_declaration_that_the_files_contradict_is_refused(
    tmp_path: Path, config: dict[str, Any], declared: dict[str, Any], why: str
) -> None:
    assert refusal(lay_out(tmp_path, **config), **declared) == why


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("README.md", "- load_in_8bit: False\n- load_in_4bit: True\n", "bnb-4bit"),
        ("README.md", "- load_in_8bit: True\n", "bnb-8bit"),
        ("config.json", '{"quantization_config": {"load_in_4bit": true}}', "bnb-4bit"),
        ("config.json", '{"quantization_config": {"quant_method": "GPTQ"}}', "gptq"),
    ],
)
def test_the_quantisation_that_a_file_states_is_bound(
    tmp_path: Path, name: str, text: str, found: str
) -> None:
    folder = lay_out(tmp_path)
    (folder / name).write_text(text)
    run = adapted(folder).run
    assert (run.method, run.hyperparameters["quantisation"]) == ("qlora", found)
    assert adapted(folder, quantisation=found).run == run
    assert refusal(folder, quantisation="awq").startswith(f"the quantisation differs: {found} by")


def test_a_quantisation_that_no_file_states_is_declared(tmp_path: Path) -> None:
    folder = lay_out(tmp_path)
    assert adapted(folder, quantisation="bnb-4bit").run.method == "qlora"
    assert adapted(folder, quantisation="none").run.method == "lora"


def test_files_that_state_different_quantisations_are_refused(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, base_model_name_or_path="acme/qwen-awq")
    (folder / "README.md").write_text("- load_in_4bit: True\n")
    assert refusal(folder) == (
        "the quantisation differs: bnb-4bit by README.md (load_in_4bit), awq by the base model's "
        "name acme/qwen-awq"
    )


@pytest.mark.parametrize(
    ("shapes", "config", "why"),
    [
        ({f"{LAYER}.lora_A.weight": (4, 16)}, {}, f"but no {LAYER}.lora_B.weight"),
        ({f"{LAYER}.lora_B.weight": (16, 4)}, {}, f"but no {LAYER}.lora_A.weight"),
        ({f"{LAYER}.weight": (16, 16)}, {}, "has no tensor of a LoRA adapter (lora_A, lora_B)"),
        (SHAPES, {"r": 8}, "has the rank 4, but adapter_config.json states r: 8"),
        (
            {**SHAPES, f"{LAYER}.lora_B.weight": (4, 16)},
            {},
            f"{LAYER}.lora_B.weight has the rank 16, but adapter_config.json states r: 4",
        ),
    ],
)
def test_weights_that_do_not_fit_their_configuration_are_refused(
    tmp_path: Path, shapes: dict[str, tuple[int, ...]], config: dict[str, Any], why: str
) -> None:
    found = refusal(lay_out(tmp_path, shapes, **config))
    assert found.startswith(f"{tmp_path}/adapter_model.safetensors: ")
    assert found.endswith(why)


@pytest.mark.parametrize(
    ("more", "config"),
    [
        ({f"{LAYER}.lora_B.bias": (16,), f"{LAYER}.lora_magnitude_vector": (16,)}, {}),
        ({"e.lora_embedding_A": (4, 100), "e.lora_embedding_B": (16, 4)}, {}),
        ({"x.lora_A.weight": (2, 16), "x.lora_B.weight": (16, 2)}, {"rank_pattern": {"x": 2}}),
        ({"c.lora_A.weight": (4, 3, 3, 3), "c.lora_B.weight": (9, 4, 1, 1)}, {}),
    ],
)
def test_every_form_of_lora_that_peft_saves_is_bound(
    tmp_path: Path, more: dict[str, tuple[int, ...]], config: dict[str, Any]
) -> None:
    assert adapted(lay_out(tmp_path, {**SHAPES, **more}, **config)).base == BASE


def test_a_folder_that_is_not_one_adapter_is_refused(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "adapter")
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 1, "r": 2}')
    assert refusal(folder) == f"{folder}/adapter_config.json: a key is given twice"
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": "8"}')
    assert refusal(folder).startswith(f"{folder}/adapter_config.json: r: Input should be a valid")
    lay_out(folder, peft_type="IA3")
    assert refusal(folder).endswith("peft_type is 'IA3', expected 'LORA'")
    lay_out(folder)
    (folder / "checkpoint-9").mkdir()
    (folder / "checkpoint-9" / "adapter_config.json").write_text(json.dumps(CONFIG))
    assert refusal(folder).endswith("is an adapter of its own; bind each in its own folder")
    (folder / "adapter_model.safetensors").unlink()
    assert refusal(folder) == (
        f"{folder}: has no adapter_model.safetensors; expected an adapter as PEFT saves it"
    )
