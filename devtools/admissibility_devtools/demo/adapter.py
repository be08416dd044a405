"""Makes a small LoRA adapter, as PEFT saves one: two factors of one projection.

The file of weights is written by hand (safetensors: a length, a JSON header, the tensors), so that
nothing of a machine-learning framework is needed.
"""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

RANK, WIDTH = 4, 16
SEED = 20_270_114
REVISION = "c1899de289a04d12100db370d81485cdf75e47ca"
WEIGHTS = "adapter_model.safetensors"
_LAYER = "base_model.model.model.layers.0.self_attn.q_proj"


def make(folder: Path, base: str) -> Path:
    """Write an adapter of rank 4 for a base model, whose pinned revision it names."""
    folder.mkdir(parents=True)
    config = {
        "base_model_name_or_path": base,
        "revision": REVISION,
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "target_modules": ["q_proj"],
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    (folder / WEIGHTS).write_bytes(_safetensors(random.Random(SEED)))  # noqa: S311 - weights
    return folder


def replace_weights(folder: Path) -> bytes:
    """Overwrite the weights with others of the same shapes; return what was there."""
    before = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(_safetensors(random.Random(SEED + 1)))  # noqa: S311 - weights
    return before


def _safetensors(source: random.Random) -> bytes:
    shapes = {
        f"{_LAYER}.lora_A.weight": (RANK, WIDTH),
        f"{_LAYER}.lora_B.weight": (WIDTH, RANK),
    }
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, (rows, columns) in shapes.items():
        count = rows * columns
        begin = len(data)
        data += struct.pack(f"<{count}f", *(source.gauss(0, 0.02) for _ in range(count)))
        offsets = [begin, len(data)]
        header[name] = {"dtype": "F32", "shape": [rows, columns], "data_offsets": offsets}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data
