"""The demo's stage before a provider that tunes: jobs, files and calls go through one Envoy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from admissibility_devtools.demo.authorities import PRODUCER, PROVIDER, Organisations
from admissibility_devtools.demo.stage import Stage
from admissibility_devtools.tools.envoy_config import (
    Name,
    credential_document,
    reference,
    render,
)
from admissibility_devtools.tools.envoy_process import EnvoyProcess
from sidecar.authority.publishing import publish_repository
from sidecar.destinations.directory import DirectoryDestination
from tests.process.envoy.certificates import serve_as
from tests.support.http_listener import listening
from tests.support.provider.openai_jobs import KEY, OpenAiJobs, handler_of
from tests.support.site.envoy import patient


@dataclass(frozen=True, slots=True)
class Hosted:
    """A provider with OpenAI's API, and what its reference configurations are called."""

    provider: str
    gateway: Name
    sandbox: Name
    prefix: str
    key: str
    host: str | None = None
    """Of its certificate, where the reference configuration reaches it over TLS."""


OPENAI = Hosted("openai", "jwt", "sandbox", "/v1", f"Bearer {KEY}")
AZURE = Hosted("azure", "azure", "sandbox-azure", "/openai/v1", KEY, "acme-models.openai.azure.com")


PUBLISHED = "published"
"""Folder that a binder publishes to, one place for each authority."""


class _Granting(Organisations):
    """The demo's authorities, granted the models of another provider."""

    def __init__(self, made: Organisations, provider: str) -> None:
        super().__init__(made.homes, made.evidence)
        object.__setattr__(self, "provider", provider)

    def write_trust(self, path: Path) -> None:
        super().write_trust(path)
        provider: str = object.__getattribute__(self, "provider")
        text = path.read_text("utf-8").replace("openai/", f"{provider}/")
        trust = yaml.safe_load(text)
        # The producer publishes its manifests; the provider its bindings and withdrawals as well.
        published = path.parent / PUBLISHED
        trust["evidence"] += [str(published / name / "evidence") for name in (PRODUCER, PROVIDER)]
        for entry in trust["authorities"]:
            if entry["name"] == PROVIDER and provider == AZURE.provider:
                entry["source"] = {"directory": str(published / PROVIDER)}
                place = DirectoryDestination(published / PROVIDER)
                publish_repository(self.homes[PROVIDER], place)
        path.write_text(yaml.safe_dump(trust, sort_keys=False), encoding="utf-8")


@dataclass
class TuningStage(Stage):
    """A stage whose upstream is an account that tunes models, and then answers for them."""

    hosted: Hosted = OPENAI
    account: OpenAiJobs = field(default_factory=OpenAiJobs)
    port: int = 0
    _served: ExitStack = field(default_factory=ExitStack)

    @property
    def gateway(self) -> str:
        """Base URL for the SDK."""
        assert self._envoy is not None
        return f"{self._envoy.url}{self.hosted.prefix}"

    def __exit__(self, *ended: object) -> None:
        super().__exit__(*ended)
        self._served.close()

    def found_authorities(self) -> Organisations:
        """Create the authorities; see ``Stage``."""
        self._organisations = _Granting(super().found_authorities(), self.hosted.provider)
        return self._organisations

    def start(self) -> None:
        """Start gate and Envoy before the account."""
        context = None
        if self.hosted.host is not None:
            context, _ = serve_as(self.hosted.host, self.folder / "provider")
        self.port = self._served.enter_context(listening(handler_of(self.account), context))
        self._start_gate()
        credential = self.folder / "provider-credential.yaml"
        credential.write_text(credential_document(self.hosted.key), encoding="utf-8")
        credential.chmod(0o600)
        self._envoy = self._envoy_of(self.hosted.gateway, self.folder / "envoy")
        self._envoy.start()

    @contextmanager
    def sandbox(self) -> Iterator[str]:
        """Run the Envoy of the sandbox route; its base URL."""
        envoy = self._envoy_of(self.hosted.sandbox, self.folder / "envoy-sandbox")
        envoy.start()
        try:
            yield f"{envoy.url}{self.hosted.prefix}"
        finally:
            envoy.stop()

    def _envoy_of(self, name: Name, folder: Path) -> EnvoyProcess:
        roots = self.folder / "provider" / "roots.pem"
        host, _, port = self.listen.rpartition(":")
        config = render(
            patient(reference(name)),
            listener_port=0,
            admin_port=0,
            gate=(host, int(port)),
            upstream=("127.0.0.1", self.port),
            credential_file=self.folder / "provider-credential.yaml",
            provider_roots=None if self.hosted.host is None else roots,
        )
        return EnvoyProcess(config, folder)
