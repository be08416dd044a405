"""Validates CycloneDX documents against the schema of the standard."""

from __future__ import annotations


def schema_error(document: str) -> object | None:
    """What is wrong with a CycloneDX 1.6 document in JSON; None where it is valid."""
    # Two seconds of grammars for its formats, which would be paid by every worker that collects.
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(document)
