"""SPIRE is away for a while, or another trust domain's workloads call: real Envoy, gate and SPIRE.

Run as ``test_spire.py`` is. SVIDs live for an hour here, so that what is away is what decides.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from admissibility_devtools.demo.authorities import CUSTOMER, PROD
from admissibility_devtools.demo.stage import AUDIENCE
from tests.e2e.gate.mesh import ADMITTED, follower, mesh, with_svid
from tests.support import spire as support
from tests.support.site.stand import Stand
from tests.support.site.talk import Verdict, credential_line, until

pytestmark = pytest.mark.skipif(
    support.SERVER is None or support.AGENT is None,
    reason="spire-server and spire-agent are not on PATH",
)
PARTNER = "partner.example"
THEIRS = f"spiffe://{PARTNER}/env/prod"
NOT_DECLARED = (403, "environment_unknown")
"""The credential is good; nobody declared its environment."""


def test_calls_go_on_while_spire_is_away_and_its_next_keys_count_once_it_is_back(
    stand: Stand, tmp_path: Path
) -> None:
    with mesh(stand, tmp_path) as (server, agent, workload, _):

        def both() -> tuple[Verdict, Verdict]:
            return workload.with_token()[0], workload.with_certificate()[0]

        good = ADMITTED, ADMITTED
        assert until(both, good) == good
        token, certificate = workload.token()[0], workload.certificate()[0]

        def held() -> tuple[Verdict, Verdict]:
            return token.verdict(), certificate.verdict()

        server.program.stop()
        server_away = both(), held()
        agent.program.stop()
        everything_away = held()
        server.start()
        agent.start()
        assert (server_away, everything_away, both(), held()) == ((good, good), good, good, good)

        # The follower heard nothing meanwhile; it finds what the server signs with from now on.
        server.authority("jwt", "activate", server.authority("jwt", "prepare"))
        fresh = credential_line(server.jwt_svid(PROD, AUDIENCE))
        renewed = replace(workload.tokens, credential=fresh)
        assert until(renewed.verdict, ADMITTED) == ADMITTED


def test_a_workload_of_a_federated_trust_domain_is_known_once_a_customer_publishes_its_roots(
    stand: Stand, tmp_path: Path
) -> None:
    """The gateway's Envoy accepts it by federation; the gate by what a customer publishes."""
    with (
        support.spire('profile "https_spiffe" {}', domain=PARTNER) as partner,
        support.agent(partner, THEIRS) as theirs,
        mesh(stand, tmp_path, partner=partner) as (server, agent, workload, site),
    ):
        roots = tmp_path / "roots.pem"
        roots.write_text(server.command("bundle", "show"), encoding="ascii")
        (folder := tmp_path / "theirs").mkdir()
        svid = support.x509_svid(theirs.address, THEIRS, folder)
        caller = with_svid(workload.certificates, svid, roots)
        until(lambda: workload.with_certificate()[0], ADMITTED)
        not_granted = caller.verdict()

        grant = site.entry(CUSTOMER)["grants"][0]
        grant["trust_domains"].append(PARTNER)
        grant["environments"].append(f"spiffe://{PARTNER}/**")
        site.settings["listen"] = site.listen
        site.stop_gate()
        site.start()
        not_published = caller.verdict()
        home = site.organisations.homes[CUSTOMER].path
        with follower(PARTNER, home, tmp_path, "--workload-api", agent.address):
            known = until(caller.verdict, NOT_DECLARED)
        assert (not_granted, not_published, known) == (
            (401, "credential_invalid"),
            (401, "credential_key_unknown"),
            NOT_DECLARED,
        )
