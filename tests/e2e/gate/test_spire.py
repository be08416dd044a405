"""SPIRE rotates its keys by itself: calls with its SVIDs go on, through real Envoy and gate.

A real SPIRE server whose authorities live for about a minute, an agent that gives the workload and
Envoy their SVIDs, and the customer's ``admit authority follow-bundle``. SPIRE is in no package
registry: the test runs where ``spire-server`` and ``spire-agent`` (1.16) are on PATH.
"""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
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
from tests.support.site.talk import Talk, Verdict, credential_line, until
from tests.support.spire import SERVER_ID, Spire

pytestmark = pytest.mark.skipif(
    support.SERVER is None or support.AGENT is None,
    reason="spire-server and spire-agent are not on PATH",
)
LIFETIME = 66
"""Seconds: SPIRE looks every 10 s; it prepares a key after 40 s, and signs with it after 60 s."""

AFTER = 20
"""Calls of each kind that are made with new keys."""

ADMITTED = (200, "admitted")
GATEWAY = f"spiffe://{TRUST_DOMAIN}/gateway"


@dataclass(frozen=True, slots=True)
class Workload:
    """The application: its Workload API, and an Envoy for each kind of SVID."""

    address: str
    folder: Path
    tokens: Talk
    certificates: Talk

    def with_token(self) -> tuple[Verdict, str]:
        """Call with a JWT-SVID; the verdict and the id of the key that signed it."""
        token = support.jwt_svid(self.address, PROD, AUDIENCE)
        head = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
        talk = replace(self.tokens, credential=credential_line(token))
        return talk.verdict(), str(head["kid"])

    def with_certificate(self) -> tuple[Verdict, str]:
        """Call with an X.509-SVID; the verdict and the issuer that signed it."""
        svid = support.x509_svid(self.address, PROD, self.folder)
        bundle = svid.with_name(svid.name.replace("svid", "bundle"))
        context = ssl.create_default_context(cafile=str(bundle))
        context.check_hostname = False  # an SVID names a workload, not a host
        context.load_cert_chain(svid, svid.with_suffix(".key"))
        return replace(self.certificates, tls=context).verdict(), support.issuer_key(svid)


@pytest.fixture
def workload(stand: Stand, tmp_path: Path) -> Iterator[Workload]:
    with ExitStack() as stack:
        site = stack.enter_context(Site(stand, tmp_path / "site"))
        home = site.organisations.homes[CUSTOMER].path
        authority.set_trust_domains(site.organisations.homes[CUSTOMER], (), now())
        server = stack.enter_context(support.spire('profile "https_spiffe" {}', LIFETIME))
        api = stack.enter_context(support.workload_api(server, PROD, GATEWAY))
        stack.enter_context(following(server, home, tmp_path))
        site.start()
        nowhere = TlsFiles(Path("/none"), Path("/none"), TRUST_DOMAIN, Path("/none"))
        envoys = (
            envoy_before(stand, site.listen, tmp_path / "jwt", patient(reference("jwt"))),
            envoy_before(
                stand,
                site.listen,
                tmp_path / "mtls",
                patient(reference("mtls")),
                nowhere,
                lambda text: from_spire(text, api),
            ),
        )
        tokens, certificates = (
            Talk(stack.enter_context(envoy).port, stand.stage.upstream, stand.model)
            for envoy in envoys
        )
        yield Workload(api, tmp_path, tokens, certificates)


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
    words = ["authority", "follow-bundle", TRUST_DOMAIN, "--home", home, "--url", server.url]
    words += ["--profile", "https_spiffe", "--endpoint-id", SERVER_ID, "--bootstrap", first]
    with (folder / "follower.log").open("wb") as log:
        command = [str(word) for word in (PROGRAM, *words, "--refresh", "3s")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(30) == 0


def test_calls_go_on_while_spire_rotates_its_keys(workload: Workload) -> None:
    calls = {"jwt": workload.with_token, "x509": workload.with_certificate}
    for call in calls.values():
        assert until(lambda: call()[0], ADMITTED) == ADMITTED  # noqa: B023 - called at once
    seen: dict[str, list[tuple[Verdict, str]]] = {kind: [] for kind in calls}
    end = time.monotonic() + 2 * LIFETIME
    while time.monotonic() < end and min(map(_since_rotation, seen.values())) < AFTER:
        for kind, call in calls.items():
            seen[kind].append(call())
    refused = {kind: [each for each in seen[kind] if each[0] != ADMITTED] for kind in calls}
    assert refused == {"jwt": [], "x509": []}
    assert {kind: len({key for _, key in seen[kind]}) for kind in calls} == {"jwt": 2, "x509": 2}


def _since_rotation(calls: list[tuple[Verdict, str]]) -> int:
    """Calls with another key than that of the first."""
    return sum(key != calls[0][1] for _, key in calls)
