"""A server's JSON is read strictly and as its model, and what is wrong with it fits in one line."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict

from sidecar.formats.json_model import JsonModelError, read_json


class Answer(BaseModel):
    model_config = ConfigDict(strict=True)
    id: str


def test_an_answer_is_read_as_its_model() -> None:
    assert read_json(Answer, b'{"id": "a", "more": 1}', max_bytes=64) == Answer(id="a")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"id": "a", "id": "b"}', "twice"),
        (b'{"id": 1}', "id: Input should be a valid string"),
        (b"{}", "id: Field required"),
        (b'["a"]', "object"),
        (b'{"id": "' + b"a" * 64 + b'"}', "64"),
    ],
)
def test_anything_else_is_one_line_with_its_place(data: bytes, text: str) -> None:
    with pytest.raises(JsonModelError) as refused:
        read_json(Answer, data, max_bytes=64)
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)
