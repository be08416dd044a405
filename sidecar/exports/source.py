"""Defines what every export is made of, and names that all of them use."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from sidecar.core.evidence import Statement
from sidecar.core.predicates import Manifest, Result, SuiteResult
from sidecar.core.window import rfc3339

NAMESPACE = "urn:admissibility"


@dataclass(frozen=True, slots=True)
class ManifestSource:
    """A manifest to be exported.

    Attributes:
        digest: Hex SHA-256 of its payload.
        statement: The manifest.
        at: Time of the export.
        signer: Fingerprint of the key that its signature was verified with; ``None`` if it was not.
        results: Evaluators' results about it, whose signatures were not verified.
    """

    digest: str
    statement: Statement[Manifest]
    at: datetime
    signer: str | None = None
    results: tuple[Result, ...] = ()

    @property
    def manifest(self) -> Manifest:
        """Return the predicate."""
        return self.statement.predicate

    @property
    def artifact(self) -> str:
        """Return the hex SHA-256 of what was adapted: the subject's digest."""
        return self.statement.subject.digest.sha256

    @property
    def model(self) -> str:
        """Return ``provider/id``."""
        return f"{self.manifest.model.provider}/{self.manifest.model.id}"

    @property
    def base(self) -> str:
        """Return ``provider/id`` of the base model."""
        return f"{self.manifest.model.provider}/{self.manifest.model.base}"

    @property
    def verification(self) -> str:
        """Return a sentence on what was verified."""
        if self.signer is None:
            return "The manifest's signature was not verified when this copy was made."
        return f"The manifest's signature was verified with the key {self.signer}."

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return what only this project's vocabulary has, as names and texts.

        They are written where a format has room for properties of others.
        """
        manifest = self.manifest
        rows = [
            ("manifest", self.digest),
            ("signature", "unverified" if self.signer is None else f"verified with {self.signer}"),
            ("notBefore", rfc3339(manifest.window.not_before)),
            ("notAfter", rfc3339(manifest.window.not_after)),
            ("run", manifest.run.id),
            ("method", manifest.run.method),
            *(("approval required", role) for role in manifest.approvals.required),
            *(("environment", each.id) for each in manifest.environments),
            *(
                ("jurisdiction", name)
                for name in sorted(
                    {n for each in manifest.environments for n in each.jurisdictions}
                )
            ),
            *(
                (f"suite {suite.name}", f"sha256:{suite.digest.sha256} from {suite.threshold}")
                for suite in manifest.envelope.suites
            ),
            *(
                (f"declaration {name}", text)
                for name, text in sorted(manifest.declarations.items())
            ),
        ]
        for name, link in (
            ("parent", manifest.model.parent),
            ("supersedes", manifest.supersedes),
            ("specification", manifest.specification),
        ):
            if link is not None:
                rows.append((name, link.sha256))
        return tuple(rows)


def suite_label(suite: SuiteResult) -> str:
    """Return a suite's name, and its jurisdiction: two suites of one name may differ by that."""
    jurisdiction = suite.annotations.jurisdiction
    return f"{suite.name} ({jurisdiction})" if jurisdiction else suite.name


def urn(*parts: str) -> str:
    """Return a URN of this project's, each part escaped (RFC 8141 §2.3)."""
    return ":".join((NAMESPACE, *(quote(part, safe="/@") for part in parts)))


def stable_uuid(*parts: str) -> uuid.UUID:
    """Return the same UUID for the same parts: an export can be made again and compared."""
    return uuid.uuid5(uuid.NAMESPACE_URL, urn(*parts))


def plain_text(value: object) -> str:
    """Return a hyperparameter or metric as text."""
    return value if isinstance(value, str) else repr(value)
