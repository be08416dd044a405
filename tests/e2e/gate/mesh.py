"""An application with SVIDs of a real SPIRE, the Envoys that it calls, and the gate behind them."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from admissibility_devtools.demo.authorities import CUSTOMER, PROD, TRUST_DOMAIN, now
from admissibility_devtools.demo.stage import AUDIENCE
from admissibility_devtools.tools.envoy_config import TlsFiles, reference
from admissibility_devtools.tools.places import repository_root
from sidecar.authority import home as authority
from tests.process.cli.admit import PROGRAM
from tests.process.envoy.config import chain
from tests.support import spire as support
from tests.support.site.envoy import patient
from tests.support.site.site import Site, envoy_before
from tests.support.site.stand import Stand
from tests.support.site.talk import Talk, Verdict, credential_line
from tests.support.spire import SERVER_ID, Agent, Spire

ADMITTED = (200, "admitted")
GATEWAY = f"spiffe://{TRUST_DOMAIN}/gateway"


@dataclass(frozen=True, slots=True)
class Workload:
    """The application: its Workload API, and an Envoy for each kind of SVID."""

    address: str
    folder: Path
    tokens: Talk
    certificates: Talk

    def token(self) -> tuple[Talk, str]:
        """A JWT-SVID to call with, and the id of the key that signed it."""
        token = support.jwt_svid(self.address, PROD, AUDIENCE)
        head = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
        return replace(self.tokens, credential=credential_line(token)), str(head["kid"])

    def certificate(self) -> tuple[Talk, str]:
        """An X.509-SVID to call with, and the issuer that signed it."""
        svid = support.x509_svid(self.address, PROD, self.folder)
        bundle = svid.with_name(svid.name.replace("svid", "bundle"))
        return with_svid(self.certificates, svid, bundle), support.issuer_key(svid)

    def with_token(self) -> tuple[Verdict, str]:
        """Call with a JWT-SVID; the verdict and the id of the key that signed it."""
        talk, key = self.token()
        return talk.verdict(), key

    def with_certificate(self) -> tuple[Verdict, str]:
        """Call with an X.509-SVID; the verdict and the issuer that signed it."""
        talk, issuer = self.certificate()
        return talk.verdict(), issuer


def with_svid(talk: Talk, svid: Path, roots: Path) -> Talk:
    """Call with an X.509-SVID as an agent wrote it, and believe the gateway by these roots."""
    context = ssl.create_default_context(cafile=str(roots))
    context.check_hostname = False  # an SVID names a workload, not a host
    context.load_cert_chain(svid, svid.with_suffix(".key"))
    return replace(talk, tls=context)


@contextmanager
def mesh(
    stand: Stand, folder: Path, lifetime: int | None = None, partner: Spire | None = None
) -> Iterator[tuple[Spire, Agent, Workload, Site]]:
    """Run a server, its agent, the customer's follower, a gate, and an Envoy for each kind of SVID.

    Args:
        stand: The shared stage.
        folder: For their files.
        lifetime: Of SPIRE's authorities, in seconds; a day where nothing is given.
        partner: Server of a trust domain whose workloads the gateway accepts as well.
    """
    with ExitStack() as stack:
        site = stack.enter_context(Site(stand, folder / "site"))
        home = site.organisations.homes[CUSTOMER].path
        authority.set_trust_domains(site.organisations.homes[CUSTOMER], (), now())
        server = stack.enter_context(support.spire('profile "https_spiffe" {}', lifetime))
        if partner is not None:
            server.federate(partner)
        agent = stack.enter_context(
            support.agent(server, PROD, GATEWAY, federates_with=partner.domain if partner else "")
        )
        stack.enter_context(following(server, home, folder))
        site.start()
        nowhere = TlsFiles(Path("/none"), Path("/none"), TRUST_DOMAIN, Path("/none"))
        envoys = (
            envoy_before(stand, site.listen, folder / "jwt", patient(reference("jwt"))),
            envoy_before(
                stand,
                site.listen,
                folder / "mtls",
                patient(reference("mtls")),
                nowhere,
                lambda text: from_spire(text, agent.address),
            ),
        )
        tokens, certificates = (
            Talk(stack.enter_context(envoy).port, stand.stage.upstream, stand.model)
            for envoy in envoys
        )
        yield server, agent, Workload(agent.address, folder, tokens, certificates), site


def from_spire(config: str, address: str) -> str:
    """Take the gateway's SVID and the bundle from SPIRE's agent, as ``envoy/README.md`` shows."""
    text = (repository_root() / "envoy" / "README.md").read_text(encoding="utf-8")
    _, _, section = text.partition("\n## Certificates from SPIRE\n")
    secrets, cluster = (
        yaml.load(block.partition("```")[0], Loader=yaml.CSafeLoader)
        for block in section.split("```yaml\n")[1:3]
    )
    made: dict[str, Any] = yaml.load(config, Loader=yaml.CSafeLoader)
    context = chain(made)["transport_socket"]["typed_config"]["common_tls_context"]
    for replaced in ("tls_certificates", "validation_context"):
        del context[replaced]
    context.update(secrets)
    (endpoint,) = cluster[0]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    endpoint["endpoint"]["address"]["pipe"]["path"] = address.removeprefix("unix://")
    made["static_resources"]["clusters"] += cluster
    return str(yaml.safe_dump(made))


@contextmanager
def following(server: Spire, home: Path, folder: Path) -> Iterator[None]:
    """Run the customer's follower. Its 3 s are to a minute what SPIRE's hint is to a day."""
    first = folder / "first.json"
    first.write_bytes(server.bundle())
    words: list[object] = ["--url", server.url, "--profile", "https_spiffe"]
    words += ["--endpoint-id", SERVER_ID, "--bootstrap", first]
    with follower(TRUST_DOMAIN, home, folder, *words):
        yield


@contextmanager
def follower(domain: str, home: Path, folder: Path, *source: object) -> Iterator[None]:
    """Run ``admit authority follow-bundle`` on a source."""
    words = ("authority", "follow-bundle", domain, "--home", home, *source, "--refresh", "3s")
    with (folder / f"follower-{domain}.log").open("wb") as log:
        command = [str(word) for word in (PROGRAM, *words)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(30) == 0
