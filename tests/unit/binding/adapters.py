"""LoRA adapters as PEFT saves them, with safetensors files written by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BASE = "Qwen/Qwen3-0.6B"
REVISION = "c1899de289a04d12100db370d81485cdf75e47ca"
LAYER = "base_model.model.model.layers.0.self_attn.q_proj"

CONFIG: dict[str, Any] = {
    "auto_mapping": None,
    "base_model_name_or_path": BASE,
    "bias": "none",
    "inference_mode": True,
    "lora_alpha": 8,
    "lora_dropout": 0.05,
    "peft_type": "LORA",
    "peft_version": "0.18.0",
    "r": 4,
    "revision": REVISION,
    "target_modules": ["q_proj"],
    "task_type": "CAUSAL_LM",
    "use_dora": False,
}

SHAPES: dict[str, tuple[int, ...]] = {
    f"{LAYER}.lora_A.weight": (4, 16),
    f"{LAYER}.lora_B.weight": (16, 4),
}


def safetensors(shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """A file of F32 tensors, filled with a pattern, with its header padded as the library does."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
    return packed(header, bytes(range(256)) * (end // 256) + bytes(end % 256))


def packed(header: Mapping[str, Any] | bytes, data: bytes) -> bytes:
    """A file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def lay_out(folder: Path, shapes: Mapping[str, tuple[int, ...]] = SHAPES, **config: Any) -> Path:
    """Write an adapter's folder; keyword arguments change its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, **config}, indent=2))
    (folder / "adapter_model.safetensors").write_bytes(safetensors(shapes))
    (folder / "README.md").write_text("---\nlibrary_name: peft\n---\n")
    return folder
