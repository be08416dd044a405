"""``admit doctor`` before an Envoy that is not there, or does not ask the gate about everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from admissibility_devtools.tools.envoy_config import reference
from sidecar.doctor.diagnosis import Diagnosis, fail, ok, warn
from sidecar.formats.amounts import amount
from tests.process.envoy.config import GATE, SEAL, host, manager
from tests.support.site.doctor import HEALTHY, but, follows, report
from tests.support.site.site import Site, envoy_before


def test_an_envoy_that_does_not_listen_fails_every_check_of_it(whole: Site) -> None:
    nobody = "LOOPBACK: Connection refused"
    assert report(whole, envoy_admin="127.0.0.1:1", gateway="http://127.0.0.1:2") == but(
        ok("clock", "within 30 s of the gate"),
        fail("Envoy", nobody, "Start Envoy, or correct --envoy-admin."),
        follows("Envoy", "ext_authz", nobody),
        follows("Envoy", "seal", nobody),
        follows("Envoy", "gate cluster", nobody),
        follows("Envoy", "canary: a call", nobody),
        follows("Envoy", "canary: an upload", nobody),
    )


def test_a_gateway_that_does_not_listen_fails_the_canaries(whole: Site) -> None:
    nobody = "LOOPBACK: Connection refused"
    gateway = "Start Envoy, or correct --gateway (TLS: --ca)."
    assert report(whole, gateway="http://127.0.0.1:2") == but(
        fail("canary: a call", nobody, gateway),
        follows("canary: a call", "canary: an upload", nobody),
    )


def test_an_admin_interface_that_is_another_server(whole: Site) -> None:
    """Here the gate's own metrics."""
    told_by = report(whole, envoy_admin=whole.metrics.removeprefix("http://"))
    assert told_by == but(
        fail("Envoy", "the answer is not JSON", "Start Envoy, or correct --envoy-admin."),
        follows("Envoy", "ext_authz", "the answer is not JSON"),
        follows("Envoy", "seal", "the answer is not JSON"),
        follows("Envoy", "gate cluster", "the answer is not JSON"),
    )


Change = Callable[[dict[str, Any]], None]
NOT_CHECKED = "This route is not checked: enable ext_authz on it."


def asking(config: dict[str, Any]) -> dict[str, Any]:
    """The filter that asks the gate."""
    (found,) = (each for each in manager(config)["http_filters"] if each["name"] == GATE)
    assert isinstance(found, dict)
    return found


def disable(number: int) -> Change:
    def change(config: dict[str, Any]) -> None:
        override = host(config)["routes"][number]["typed_per_filter_config"][GATE]
        del override["check_settings"]
        override["disabled"] = True

    return change


def without_the_filter(config: dict[str, Any]) -> None:
    manager(config)["http_filters"].remove(asking(config))
    for route in host(config)["routes"]:
        del route["typed_per_filter_config"][GATE]


def fail_open(config: dict[str, Any]) -> None:
    asking(config)["typed_config"]["failure_mode_allow"] = True


@contextmanager
def fronted(site: Site, change: Change) -> Iterator[Site]:
    """The site behind an Envoy whose configuration was changed."""
    config = yaml.load(reference("jwt"), Loader=yaml.CSafeLoader)
    change(config)
    # Aliases would be resolved differently by the renderer: write them out.
    text = yaml.dump(config, Dumper=_Plain, sort_keys=False)
    site.envoy = envoy_before(site.stand, site.listen, site.folder / "changed", text).start()
    yield site


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def unsealed(change: Change) -> Change:
    """The same change, of a configuration without the seal."""

    def both(config: dict[str, Any]) -> None:
        entries = manager(config)["http_filters"]
        entries[:] = [one for one in entries if one["name"] != SEAL]
        change(config)

    return both


def denied_by_the_seal(count: int) -> Diagnosis:
    return warn(
        "seal",
        f"{amount(count, 'request')} that the gate did not admit ended at the seal",
        "ext_authz is missing, disabled, failing open or in shadow mode somewhere: run "
        "`admit envoy lint`.",
    )


def at_the_seal(path: str) -> str:
    by = "from an RBAC filter, such as the seal: the gate did not admit or deny it"
    return f"POST {path} got 403 {by}"


NOTHING_PASSES = "Nothing passes on this route: enable ext_authz on it."
NO_SEAL = warn(
    "seal",
    "http.applications has ext_authz and no seal",
    "Put the RBAC filter of envoy/jwt.yaml (rules_stat_prefix: seal) directly behind ext_authz.",
)


def test_a_route_of_calls_that_is_not_checked(owned: Site) -> None:
    owned.start()
    with fronted(owned, disable(-1)):
        canary = fail("canary: a call", at_the_seal("/v1/chat/completions"), NOTHING_PASSES)
        assert report(owned) == but(denied_by_the_seal(1), canary)


def test_a_route_of_calls_that_is_not_checked_without_the_seal(owned: Site) -> None:
    owned.start()
    with fronted(owned, unsealed(disable(-1))):
        canary = "POST /v1/chat/completions got 200: it was NOT denied"
        assert report(owned) == but(NO_SEAL, fail("canary: a call", canary, NOT_CHECKED))


def test_a_route_of_uploads_that_is_not_checked(owned: Site) -> None:
    """Without the seal: the provider's own refusal is none of the gate's."""
    owned.start()
    with fronted(owned, unsealed(disable(0))):
        canary = "POST /v1/files got 400, but not from the gate"
        assert report(owned) == but(NO_SEAL, fail("canary: an upload", canary, NOT_CHECKED))


def test_an_envoy_without_the_filter(owned: Site) -> None:
    owned.start()
    with fronted(owned, without_the_filter):
        assert report(owned) == but(
            fail(
                "ext_authz",
                "no listener has the filter: nothing is checked",
                "Compare it with the reference configurations under envoy/.",
            ),
            denied_by_the_seal(2),
            follows("ext_authz", "canary: a call", at_the_seal("/v1/chat/completions")),
            follows("ext_authz", "canary: an upload", at_the_seal("/v1/files")),
        )


def test_an_envoy_that_fails_open_is_seen_by_canaries_and_counters(owned: Site) -> None:
    """Seen in the canaries, in the filter's counters, and in those of the seal that denied them."""
    owned.start()
    with fronted(owned, fail_open):
        assert report(owned) == HEALTHY
        (owned.folder / "gate.json").rename(owned.folder / "kept.json")
        owned.stop_gate()
        found = {one.name: one for one in report(owned)}
    assert found["canary: a call"] == follows(
        "gate", "canary: a call", at_the_seal("/v1/chat/completions")
    )
    assert found["seal"] == denied_by_the_seal(2)
    counted = found["ext_authz"]
    assert (counted.state, counted.remedy) == ("fail", "Set failure_mode_allow: false.")
    assert counted.detail == "2 requests went on without an answer; ok N, denied N, error 2"
