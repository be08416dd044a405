"""Reports the evidence that a command signed and wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sidecar.authority.signing import Issued
from sidecar.cli.common import CliError, warn
from sidecar.core.kinds import kind_of
from sidecar.durable.files import place_new


@dataclass(frozen=True, slots=True)
class Written:
    """Evidence that the authority ``signer`` signed and wrote."""

    signer: str
    issued: Issued

    @property
    def kind(self) -> str:
        """Return the noun of its kind, e.g. ``approval``."""
        return kind_of(self.issued.statement.predicate).noun

    @property
    def digest(self) -> str:
        """Return the hex SHA-256 of the payload."""
        return self.issued.digest

    def beside(self, folder: Path, suffix: str, data: bytes) -> str:
        """Write a file whose digest the evidence has, named like the evidence; return its path."""
        stem = f"{self.kind}-{self.digest[:12]}"
        try:
            return str(place_new(folder, stem, suffix, data))
        except OSError as error:
            raise CliError(f"cannot write to {folder}: {error.strerror}") from error

    def facts(self) -> dict[str, str]:
        """Return the rows that ``report`` shows of any evidence; print warnings to stderr."""
        self._warn()
        return {
            "digest": self.digest,
            "file": str(self.issued.path),
            "signed by": self.signer,
            "key": self.issued.fingerprint,
        }

    def more(self) -> dict[str, object]:
        """Return the JSON keys that ``report`` adds: earlier statements, by their new state.

        ``published`` is the version of the edition that was published, or ``None``.
        """
        done = self.issued.publication
        return {
            "replaced": list(self.issued.replaced),
            "beside": list(self.issued.beside),
            "later": list(self.issued.later),
            "published": None if done is None else done.version,
        }

    def _warn(self) -> None:
        issued, what = self.issued, kind_of(self.issued.statement.predicate).withdrawal
        for digest in issued.replaced:
            warn(f"the older {what} {digest} is withdrawn: this one permits less or ends sooner")
        for digest in issued.beside:
            warn(f"the older {what} {digest} stays in force beside this one")
        for digest in issued.later:
            warn(
                f"the {what} {digest} begins later than this one and stays in force; "
                f"to end it: admit withdraw {what} {digest}"
            )
        if issued.publication is not None:
            warn(*issued.publication.warnings, "published: copy the repository folder now")
