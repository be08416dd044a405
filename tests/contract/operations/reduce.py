"""Reduce published API documents to the facts the tests need.

Usage: ``python -m tests.contract.operations.reduce openapi|sdk|aws|azure …``; see
``data/README.md``.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import yaml

from tests.contract.operations import aws, azure, openapi, sdk

DATA = Path(__file__).parent / "data"


def load(path: Path) -> Any:
    """A JSON or YAML document, perhaps compressed."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    return json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)


def dump(source: dict[str, Any], operations: list[dict[str, Any]]) -> str:
    """One operation on each line, so that a change of the document shows as lines."""
    rows = ",\n".join(json.dumps(row, ensure_ascii=False, sort_keys=True) for row in operations)
    head = json.dumps(source, ensure_ascii=False, sort_keys=True)
    return f'{{"source": {head},\n"operations": [\n{rows}\n]}}\n'


def main(arguments: list[str] | None = None) -> None:
    """Write one file of ``data``."""
    parser = argparse.ArgumentParser(prog="reduce", description=__doc__)
    parser.add_argument("form", choices=["openapi", "sdk", "aws", "azure"])
    parser.add_argument("documents", nargs="*", type=Path, help="none for the installed SDK")
    parser.add_argument("--into", required=True, help="name of the file in the folder data")
    parser.add_argument("--source", default="", help="which commit or release, and its date")
    chosen = parser.parse_args(arguments)
    source: dict[str, Any] = {"from": chosen.source}
    if chosen.form == "openapi":
        (path,) = chosen.documents
        document = load(path)
        source |= {"title": document["info"]["title"], "version": document["info"]["version"]}
        operations = openapi.reduce(document)
    elif chosen.form == "sdk":
        source |= {"title": "openai (Python SDK)", "version": sdk.version()}
        operations = sdk.reduce()
    elif chosen.form == "azure":
        source |= {"title": "Azure OpenAI", "version": azure.API_VERSION.partition("=")[2]}
        told = [load(DATA / name)["operations"] for name in ("openai.json", "openai_sdk.json")]
        operations = azure.reduce([row for rows in told for row in rows])
    else:
        models = [load(path) for path in chosen.documents]
        source["services"] = {aws.name(model): aws.version(model) for model in models}
        operations = aws.reduce(models)
    (DATA / chosen.into).write_text(dump(source, operations), encoding="utf-8")


if __name__ == "__main__":
    main()
