"""Rotated keys of a trust domain: the authority that is behind is named until it publishes."""

from __future__ import annotations

from dataclasses import replace

import grpc
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client.parser import text_string_to_metric_families

from sidecar._pb import ext_authz_pb2 as pb
from sidecar._pb import ext_authz_pb2_grpc as rpc
from tests.process.service.site import Running, Site
from tests.support.gate.bench import reason_of
from tests.support.gate.requests import as_check_request
from tests.support.simulator.constants import ENV
from tests.support.simulator.svid import Issuer
from tests.support.site.talk import until


def asked(running: Running, issuer: Issuer) -> pb.CheckResponse:
    token = issuer.jwt_svid(ENV, running.site.now)
    with grpc.insecure_channel(running.listen) as channel:
        message = as_check_request(credential=token)
        reply: pb.CheckResponse = rpc.AuthorizationStub(channel).Check(message, timeout=20)
        return reply


def unknown_keys(running: Running) -> dict[str, float]:
    """Trust domain → count, as Prometheus reads it."""
    text = requests.get(running.metrics + "/metrics", timeout=30).text
    return {
        sample.labels["trust_domain"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "admissibility_unknown_keys_total"
    }


def test_a_rotated_key_is_401_with_the_name_of_who_is_behind_until_it_is_published(
    site: Site,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    rotated = replace(site.issuer, kid="jwt-2", jwt_key=key)
    with site.start() as running:
        assert reason_of(asked(running, site.issuer)) == "admitted"
        assert unknown_keys(running) == {"acme.example": 0.0}
        reply = asked(running, rotated)
        assert (reason_of(reply), reply.denied_response.status.code) == (
            "credential_key_unknown",
            401,
        )
        assert (
            "customer has published no key jwt-2 of trust domain acme.example, with which the"
            " JWT-SVID is signed. Have that authority publish the current keys"
        ) in reply.denied_response.body
        assert unknown_keys(running) == {"acme.example": 1.0}
        (shown,) = requests.get(running.metrics + "/status", timeout=30).json()["trust_domains"]
        assert (shown["authority"], shown["unknown_keys"]) == ("customer", 1)

        customer = site.world.parties["customer"]
        documents = [site.issuer.document(site.now), rotated.document(site.now)]
        both = [jwk for document in documents for jwk in document["jwks"]["keys"]]
        customer.trust_domains = [{**documents[0], "jwks": {"keys": both}}]
        site.publish(customer)
        assert until(lambda: reason_of(asked(running, rotated)), "admitted") == "admitted"
        assert reason_of(asked(running, site.issuer)) == "admitted"
