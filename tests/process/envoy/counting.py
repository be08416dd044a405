"""Which bodies Envoy shows to the gate before ext_authz, written a second time here."""

from __future__ import annotations

from tests.process.envoy.config import COUNTED, Config, filters

UPLOAD = "/(files|uploads|uploads/[A-Za-z0-9_-]+/parts)"


def having(name: str, pattern: str = ".+") -> Config:
    """What matches a request with this header line."""
    given = {"@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput"}
    value = {"safe_regex": {"google_re2": {}, "regex": pattern}}
    head = {"name": name.strip(":"), "typed_config": {**given, "header_name": name}}
    return {"single_predicate": {"input": head, "value_match": value}}


def skipped(uploads: str | None) -> Config:
    """The bodies that are not shown: small ones, none, and uploads below this path."""
    bodiless = [
        {"not_matcher": having("content-length")},
        having(":method", "GET|HEAD|DELETE|OPTIONS"),
    ]
    found = [having("content-length", "[0-9]{1,6}"), {"and_matcher": {"predicate": bodiless}}]
    if uploads is not None:
        path = having(":path", rf"{uploads}{UPLOAD}(\?.*)?")
        found.append({"and_matcher": {"predicate": [path, having(":method", "POST")]}})
    return {"or_matcher": {"predicate": found}}


def uploads_below(config: Config, path: str | None) -> None:
    """Make the uploads that are not shown those of another API; None where it has none."""
    matcher(config)["predicate"] = skipped(path)


def matcher(config: Config) -> Config:
    """The only matcher of the filter that shows bodies."""
    (only,) = filters(config)[COUNTED]["xds_matcher"]["matcher_list"]["matchers"]
    assert isinstance(only, dict)
    return only
