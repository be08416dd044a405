"""Signs a manifest that a bind command made, and reports it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from sidecar.authority import home as authority
from sidecar.authority import records
from sidecar.authority.open_home import Home
from sidecar.binding import slsa
from sidecar.binding.job import AdaptedModel, Binding, Declared
from sidecar.binding.slsa import Provenance
from sidecar.cli import common
from sidecar.cli.signing_checks import SigningOptions
from sidecar.core.evidence import write_statement
from sidecar.core.predicates import (
    Manifest,
)


def with_provenance(
    found: Provenance,
    model: AdaptedModel,
    known: Declared,
    artifact_files: Mapping[str, str] | None = None,
) -> Declared:
    """Check a provenance against what is bound, and add it as a document.

    Raises:
        BindingError: As ``slsa.check``.
    """
    parent = None if known.parent is None else known.parent.digest
    artifact = hashlib.sha256(model.artifact).hexdigest()
    slsa.check(found, model, known.provider, artifact, artifact_files, parent)
    return replace(known, documents=(*known.documents, found.document))


TRAINING_RUN = "run"
"""Origin of an adapter of open weights, in messages: a training run, not a provider's job."""


def sign(signing: SigningOptions, owner: Home, bound: Binding, what: str) -> None:
    """Sign a manifest, write it and the two files that tools verify it with, and report it.

    Args:
        signing: As the options say.
        owner: The home that signs.
        bound: The manifest's statement, and its artifact.
        what: Noun of what was bound: ``job``, ``checkpoint`` or ``TRAINING_RUN``.

    Raises:
        CliError: As ``signing_checks.check``.
    """
    manifest = bound.statement.predicate
    others = _also_bound(owner, manifest)
    written = signing.issue(owner, bound.statement)
    payload = write_statement(bound.statement)
    facts = {
        **written.facts(),
        "until": common.until(manifest.window),
        "artifact": written.beside(signing.beside, ".artifact.json", bound.artifact),
        "statement": written.beside(signing.beside, ".statement.json", payload),
    }
    common.report(
        f"Bound {what} {manifest.run.id} as {manifest.model.provider}/{manifest.model.id}.",
        facts,
        as_json=signing.as_json,
        model=manifest.model.id,
        base=manifest.model.base,
        provider=manifest.model.provider,
        **written.more(),
    )
    for digest in others:
        if digest != written.digest:
            common.warn(
                f"manifest {digest} of this model was signed here before: results and approvals of "
                "one do not count for the other; --supersedes replaces it"
            )
    if what != TRAINING_RUN and manifest.specification is None:
        common.warn(
            f"the {what} names no specification: its environments and envelope are what its "
            "producer states now, not what a customer declared beforehand (admit job submit)"
        )


def _also_bound(owner: Home, manifest: Manifest) -> list[str]:
    """Return digests of manifests of the same model that a home signed before and that still hold.

    What a new one supersedes is left out.
    """
    at, model = common.now(), (manifest.model.provider, manifest.model.id)
    replaced = None if manifest.supersedes is None else manifest.supersedes.sha256
    known = authority.describe(owner).withdrawals
    gone = {replaced, *(entry.subject for entry in known)}
    return [
        each.digest
        for each in records.of_kind(owner.path, "manifest")
        if isinstance(each.statement.predicate, Manifest)
        and (each.statement.predicate.model.provider, each.statement.predicate.model.id) == model
        and each.statement.predicate.window.not_after > at
        and each.digest not in gone
    ]
