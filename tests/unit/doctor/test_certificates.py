"""The doctor names each certificate that ``trust.yaml`` names and that has ended or soon will.

A gate that reads by HTTPS or NATS stops doing so when its own certificate ends, and nobody but the
operator can renew that.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sidecar.core.window import rfc3339
from sidecar.doctor.certificates import certificates
from sidecar.doctor.diagnosis import fail, ok, warn
from sidecar.doctor.http_client import HttpAddress
from sidecar.doctor.installation import Tls
from tests.support.https_server import certificate
from tests.support.simulator.svid import Issuer, pem
from tests.unit.doctor.files import installation
from tests.unit.trust.operator import Operator

REMEDY = "Have it renewed; short-lived certificates need their agent running."


def test_certificates_for_sources_are_looked_at_before_they_end(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    operator, issuer = Operator(tmp_path / "operator"), Issuer()

    def own(name: str, age: timedelta) -> dict[str, str]:
        """One that began five minutes before, and holds for an hour after."""
        path = str(certificate(tmp_path, issuer, name, now - age))
        return {"client_certificate": path, "client_key": path}

    def examined(*sources: dict[str, str]) -> object:
        operator.value["evidence"] = [
            {"url": f"https://localhost:1/{number}", "ca": str(cas), **source}
            for number, source in enumerate(sources)
        ]
        return certificates(installation(operator))

    cas = tmp_path / "cas.pem"
    renewed = issuer.root(now)
    cas.write_text(pem(issuer.root(now - timedelta(days=400))) + pem(renewed))
    new, old = own("new.pem", timedelta()), own("old.pem", timedelta(hours=2))
    late = own("late.pem", timedelta(minutes=50))
    first = f"{tmp_path}/new.pem, at {rfc3339(now + timedelta(hours=1))}"
    gateway = "the gateway speaks plain HTTP"
    assert examined({}, new) == (
        ok("certificates", f"{gateway}; of 2 for sources, the first to end is {first}"),
    )
    begun, ended = now - timedelta(hours=2, minutes=5), now - timedelta(hours=1)
    ends = now + timedelta(minutes=10)
    assert examined(new, late, old, late) == (
        warn(
            "certificates",
            f"{tmp_path}/late.pem ends at {rfc3339(ends)}: a fifth of its life is left",
            REMEDY,
        ),
        fail(
            "certificates",
            f"{tmp_path}/old.pem holds from {rfc3339(begun)} to {rfc3339(ended)}",
            REMEDY,
        ),
    )
    cas.write_text(pem(issuer.root(now - timedelta(days=400))))
    (named,) = [one for one in certificates(installation(operator)) if str(cas) in one.detail]
    assert named.state == "fail"


def test_roots_of_the_gateway_that_ended_are_named_beside_a_gateway_that_cannot_be_reached(
    tmp_path: Path,
) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_text(pem(Issuer().root(datetime.now(UTC) - timedelta(days=400))))
    found = certificates(
        replace(
            installation(Operator(tmp_path / "operator")),
            gateway=HttpAddress("127.0.0.1", 1, tls=None),
            tls=Tls(ca=roots, certificate=tmp_path / "none.pem"),
        )
    )
    assert [(one.state, one.detail.split(" holds")[0]) for one in found] == [
        ("fail", f"--ca {roots}"),
        ("fail", f"127.0.0.1:1: [Errno 2] No such file or directory: '{tmp_path}/none.pem'"),
    ]
