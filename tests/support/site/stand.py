"""The demo's stage in its admitted state, with the handles that tests need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from admissibility_devtools.demo.authorities import PROD, TRUST_DOMAIN, now
from admissibility_devtools.demo.issuer import Issuer
from admissibility_devtools.demo.show import StoryPrinter
from admissibility_devtools.demo.stage import AUDIENCE, Stage
from admissibility_devtools.demo.story import Story
from sidecar.binding.job import KnownManifest
from tests.support.site.talk import Talk, credential_line


@dataclass(frozen=True, slots=True)
class Stand:
    """A running stage.

    Attributes:
        stage: The demo's own.
        manifest: Of the admitted model.
        key: With which the trust domain's issuer signs.
    """

    stage: Stage
    manifest: KnownManifest
    key: ec.EllipticCurvePrivateKey

    @property
    def model(self) -> str:
        """The admitted model."""
        return self.manifest.manifest.model.id

    @property
    def gate_pid(self) -> int:
        """Process id of the gate."""
        return self.stage.gate_pid()

    @property
    def talk(self) -> Talk:
        """To speak to the stage's Envoy as the application in production."""
        port = urlsplit(self.stage.gateway).port
        assert port is not None
        return self.talk_to(port)

    def talk_to(self, port: int) -> Talk:
        """To speak to another Envoy before the same upstream."""
        return Talk(port, self.stage.upstream, self.model, credential_line(self.token()))

    def token(self, environment: str = PROD) -> str:
        """A good JWT-SVID."""
        return self.stage.issuer.svid(environment, AUDIENCE, now())


class BoundStory(Story):
    """The story with a job that was finished before; how one gets there has tests of its own."""

    def _tuned(self) -> KnownManifest:
        return self.stage.organisations.bind("v3")


@contextmanager
def standing(folder: Path) -> Iterator[Stand]:
    """Bring a stage to the admitted state of the story's fourth scene."""
    key = ec.generate_private_key(ec.SECP256R1())
    with Stage(folder, issuer=Issuer(TRUST_DOMAIN, _key=key)) as stage:
        printer = StoryPrinter(quiet=True)
        story = BoundStory(stage, printer)
        story.prepare()
        assert [line for line in printer.lines if not line.as_stated] == []
        assert story.bound is not None
        yield Stand(stage, story.bound, key)
