"""Options that compare an adapter's folder with what a running server states that it serves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sidecar.binder import secrets
from sidecar.binding import served, served_api
from sidecar.binding.served import Api, BoundBase, ServedComparison, ServedName
from sidecar.cli.adapter_folder import FolderComparison
from sidecar.cli.common import CliError
from sidecar.core.predicates import Manifest

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--served",
        metavar="URL",
        help="A running vLLM, SGLang or Ollama: must state that it serves this adapter.",
    ),
]
ApiOption = Annotated[
    Api | None,
    typer.Option("--served-api", help="API of that server, if not the manifest's provider."),
]
RootOption = Annotated[
    Path | None,
    typer.Option("--served-folder", help="The folder's path as that server sees it, if another."),
]
KeyOption = Annotated[
    Path | None, typer.Option("--served-key-file", help="File (0600) with that server's API key.")
]


@dataclass(frozen=True, slots=True)
class ServedOptions:
    """Which running server is asked; an option group."""

    served_url: UrlOption = None
    served_api: ApiOption = None
    served_folder: RootOption = None
    served_key_file: KeyOption = None

    def check(
        self, name: str, folder: Path, manifest: Manifest, compared: FolderComparison
    ) -> ServedCheck | None:
        """Ask the server, where there is one, and compare what it states.

        Args:
            name: As calls name the adapter.
            folder: The adapter's folder.
            manifest: Of the adapter.
            compared: The folder, compared with the manifest.

        Raises:
            CliError: The API of the server is not known.
            SourceError: It does not answer.
            BindingError: It lists no adapter of this name.
            BinderError: The key cannot be read.
        """
        if self.served_url is None:
            return None
        key = None if self.served_key_file is None else secrets.from_file(self.served_key_file)
        found = served_api.ask(
            self._api(manifest), self.served_url, name, None if key is None else key.value
        )
        root = self.served_folder or folder
        revision = str(manifest.run.hyperparameters.get("base_revision", ""))
        base = BoundBase(manifest.model.base, revision)
        return ServedCheck(found, served.compare(found, base, compared.files, root))

    def _api(self, manifest: Manifest) -> Api:
        if self.served_api is not None:
            return self.served_api
        try:
            return Api(manifest.model.provider)
        except ValueError:
            names = ", ".join(Api)
            raise CliError(
                f"the manifest's provider {manifest.model.provider!r} is none of {names}: give "
                "--served-api"
            ) from None


@dataclass(frozen=True, slots=True)
class ServedCheck:
    """What a server states of a name, compared with a manifest."""

    found: ServedName
    compared: ServedComparison

    @property
    def same(self) -> bool:
        """Return whether nothing that it states differs."""
        return not self.compared.differences

    def declarations(self) -> dict[str, str]:
        """Return what a deployment binding declares of it, for policies."""
        digest = self.found.digest or self.found.adapter
        stated = {} if digest is None else {"served-digest": digest}
        return {"served-proof": self.compared.proof.value, **stated}

    def shown(self) -> dict[str, str]:
        """Return it as rows for people."""
        stated = {"digest": self.found.digest, "adapter": self.found.adapter}
        stated |= {"loaded from": self.found.root, "base": self.found.base}
        rows = {f"served {name}": text for name, text in stated.items() if text is not None}
        return {**rows, "proven by": self.compared.proof.value}

    def plain(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "name": self.found.name,
            "digest": self.found.digest,
            "adapter": self.found.adapter,
            "folder": self.found.root,
            "base": self.found.base,
            "proof": self.compared.proof.value,
            "differences": list(self.compared.differences),
            "unproven": list(self.compared.unproven),
        }
