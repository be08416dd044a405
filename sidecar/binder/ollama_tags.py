"""Reads which adapter a tag of Ollama serves now: a ``DeploymentSource``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sidecar.binder import library
from sidecar.binder.errors import BinderError
from sidecar.binder.secrets import Secret
from sidecar.binding import served, served_api
from sidecar.binding.deployments import DeployedModel
from sidecar.binding.errors import BindingError
from sidecar.binding.served import Api, BoundBase
from sidecar.providers.ollama import canonical


class OllamaTags:
    """The tags of one server that are kept bound.

    A tag is bound to the manifest whose folder has the file that the tag serves as its adapter, by
    SHA-256. Its digest, which covers template, system prompt and parameters as well, is declared
    and compared, so that a tag that was created again gets another binding.

    Args:
        provider: The provider's name in manifests and bindings.
        url: Of the server.
        key: Its API key, if it needs one.
        names: The tags, by any of their names.
        evidence: Folders with manifests of adapters, their ``*.artifact.json`` beside them.
    """

    def __init__(
        self,
        provider: str,
        url: str,
        key: Secret | None,
        names: tuple[str, ...],
        evidence: tuple[Path, ...],
    ) -> None:
        self.provider = provider
        self._url = url
        self._key = None if key is None else key.value
        self._names = names
        self._evidence = evidence

    def close(self) -> None:
        """Do nothing; connections last for one reading."""

    def names(self) -> Iterator[str]:
        """Yield the configured tags, by the names that calls are judged by."""
        yield from dict.fromkeys(map(canonical, self._names))

    def read(self, name: str) -> DeployedModel:
        """Return what a tag serves; see ``DeploymentSource``."""
        found = served_api.ask(Api.OLLAMA, self._url, name, self._key)
        try:
            adapter = library.adapter_with(self._evidence, self.provider, str(found.adapter))
        except BinderError as error:
            raise BindingError(f"tag {name!r}: {error}") from error
        manifest = adapter.known.manifest
        revision = str(manifest.run.hyperparameters.get("base_revision", ""))
        base = BoundBase(manifest.model.base, revision)
        compared = served.compare(found, base, adapter.files, Path())
        if compared.differences:
            raise BindingError(f"tag {name!r}: {'; '.join(compared.differences)}")
        digest = str(found.digest)
        return DeployedModel(
            name,
            manifest.model.id,
            adapted=True,
            projection={"digest": digest},
            facts={"served-proof": compared.proof.value, "served-digest": digest},
            manifest=adapter.known.digest,
        )
