"""Read values of a configuration, with their place, by the rules of protobuf's JSON form.

A field may be spelled ``snake_case`` or ``camelCase``. Absent and null are the same. A value of the
wrong type is an error and never a default, because Envoy would refuse the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from envoy_extauthz_lint.document import LintError, RawValue

TYPE = "@type"
PREFIX = "type.googleapis.com/"
REDACTED = "[redacted]"
"""What a configuration dump holds in place of sensitive values."""
TYPED_STRUCTS = frozenset({"xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"})

_DURATION = re.compile(r"(-?[0-9]{1,12}(?:\.[0-9]{1,9})?)s")
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})
_UNDERSCORED = re.compile(r"_([a-z0-9])")

_NAMED_LISTS = {
    "listeners": "listener",
    "filter_chains": "filter chain",
    "http_filters": "filter",
    "upstream_http_filters": "upstream filter",
    "virtual_hosts": "virtual host",
    "routes": "route",
    "clusters": "cluster",
    "secrets": "secret",
    "layers": "layer",
    "filters": "filter",
    "listener_filters": "listener filter",
    "session_filters": "session filter",
}
_NAMED = {"listener": "listener", "cluster": "cluster", "default_filter_chain": "filter chain"}
_MANAGER = "envoy.filters.network.http_connection_manager"
_ENVOYS_OWN = re.compile(r"^envoy\.filters\.(http|network|listener|udp_listener|udp\.session)\.")
_UNNAMED = frozenset(
    {
        "active_state",
        "bootstrap",
        "configs",
        "dynamic_active_clusters",
        "dynamic_listeners",
        "dynamic_route_configs",
        "dynamic_warming_clusters",
        "rds",
        "route",
        "route_config",
        "static_clusters",
        "static_listeners",
        "static_resources",
        "static_route_configs",
        "typed_config",
        "value",
        "warming_state",
    }
)


@cache
def camel(name: str) -> str:
    """Return the camelCase spelling of a field."""
    return _UNDERSCORED.sub(lambda found: found[1].upper(), name)


@cache
def snake(name: str) -> str:
    """Return the snake_case spelling of a field."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found[1].lower(), name)


@dataclass(frozen=True, slots=True, eq=False)
class ConfigNode:
    """A value of the configuration with its place.

    Attributes:
        raw: The value.
        path: Keys and indices as the file spells them, from the top.
        trail: The same in words, outermost first; `where` joins them.
    """

    raw: RawValue
    path: tuple[str | int, ...] = ()
    trail: tuple[str, ...] = ()

    @property
    def line(self) -> int:
        """Line in the file, from 1; 0 where it is not known."""
        return self.raw.line

    @property
    def place(self) -> str:
        """The place as a JSON pointer (RFC 6901)."""
        parts = (str(step).replace("~", "~0").replace("/", "~1") for step in self.path)
        return "".join(f"/{part}" for part in parts)

    @property
    def where(self) -> str:
        """The place for people, such as ``listener applications, route 1, prefix_rewrite``."""
        return ", ".join(self.trail)

    # ---- Structure -------------------------------------------------------------------------------

    def get(self, name: str) -> ConfigNode | None:
        """Return a field of this message; None where it is not set.

        Raises:
            LintError: This is not a message, or the field is given in both spellings.
        """
        mapping = self.mapping()
        other = camel(name)
        spelt = name if name in mapping else other
        if spelt != other and other in mapping:
            raise self.error(f"{name} and {other} are one field, given twice")
        raw = mapping.get(spelt)
        if raw is None or raw.value is None:
            return None
        return self._child(spelt, raw, self._named(name, raw))

    def at(self, *names: str) -> ConfigNode | None:
        """Return a nested field; None where one of the names is not set."""
        found: ConfigNode | None = self
        for name in names:
            found = None if found is None else found.get(name)
        return found

    def items(self, name: str) -> list[ConfigNode]:
        """Return the elements of a repeated field; an empty list where it is not set."""
        held = self.get(name)
        return [] if held is None else held.elements(name)

    def elements(self, name: str = "") -> list[ConfigNode]:
        """Return the elements of this list."""
        if not isinstance(self.raw.value, tuple):
            raise self.error("is not a list")
        kind = _NAMED_LISTS.get(name)
        trail = self.trail[:-1] if kind and self.trail and self.trail[-1] == name else self.trail
        named = name not in _UNNAMED
        return [
            ConfigNode(
                raw,
                (*self.path, index),
                (*trail, *_label(kind or "item", index, raw)) if named else trail,
            )
            for index, raw in enumerate(self.raw.value)
        ]

    def entries(self, name: str) -> dict[str, ConfigNode]:
        """Return a map field, whose keys are data and not field names."""
        held = self.get(name)
        if held is None:
            return {}
        return {
            key: held._child(key, raw, (key,))
            for key, raw in held.mapping().items()
            if raw.value is not None
        }

    def mapping(self) -> Mapping[str, RawValue]:
        """Return the keys of this message with their values.

        Raises:
            LintError: This is not a message.
        """
        if not isinstance(self.raw.value, dict):
            raise self.error("is not a message")
        return self.raw.value

    def has(self, *names: str) -> bool:
        """Return whether any of these fields is set."""
        return any(self.get(name) is not None for name in names)

    def typed(self) -> tuple[str, ConfigNode]:
        """Unpack an ``Any``: its type, empty where it has none, and the message."""
        kind = _type(self.text(TYPE))
        if kind not in TYPED_STRUCTS:
            return kind, self
        value = self.get("value")
        empty = ConfigNode(RawValue({}, self.line), (*self.path, "value"), self.trail)
        return _type(self.text("type_url")), empty if value is None else value

    def descendants(self) -> Iterator[ConfigNode]:
        """Yield this value and every value below it, outermost first."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            value = node.raw.value
            if isinstance(value, dict):
                pairs = [
                    node._child(key, raw, node._named(snake(key), raw))
                    for key, raw in value.items()
                ]
                stack.extend(reversed(pairs))
            elif isinstance(value, tuple):
                key = node.path[-1] if node.path else ""
                stack.extend(reversed(node.elements(snake(str(key)))))

    # ---- Values ----------------------------------------------------------------------------------

    def text(self, name: str) -> str:
        """Return a string field; empty where it is not set."""
        held = self.get(name)
        return "" if held is None else held.string()

    def string(self) -> str:
        """Return this value as a string, also where YAML parsed it as a number.

        Raises:
            LintError: It is a message or a list.
        """
        value = self.raw.value
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        raise self.error("is not a text")

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean field; like Envoy, read ``"yes"`` and ``"1"`` in quotes as true.

        Raises:
            LintError: It is not a boolean.
        """
        held = self.get(name)
        if held is None:
            return default
        value = held.raw.value
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
            return value.lower() in _TRUE
        raise held.error("is not true or false")

    def number(self, name: str) -> int:
        """Return an integer field, in quotes or not; 0 where it is absent.

        Raises:
            LintError: It is not an integer.
        """
        held = self.get(name)
        if held is None:
            return 0
        value = held.raw.value
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            return int(value)
        if isinstance(value, float) and math.isfinite(value) and value.is_integer():
            return int(value)
        raise held.error("is not a whole number")

    def seconds(self, name: str) -> float | None:
        """Return a duration such as ``"0.25s"`` in seconds; None where it is not set.

        Raises:
            LintError: It is not a duration.
        """
        held = self.get(name)
        if held is None:
            return None
        found = _DURATION.fullmatch(held.string())
        if found is None:
            raise held.error("is not a duration such as 1.5s")
        return float(found[1])

    def choice(self, name: str, names: tuple[str, ...]) -> str:
        """Return an enum field by name, whether the file has the name or the number.

        Envoy's parser ignores the case of names, but takes no other spelling.

        Raises:
            LintError: It is none of the names.
        """
        held = self.get(name)
        if held is None:
            return names[0]
        text = held.string()
        for name_ in names:
            if name_.casefold() == text.casefold():
                return name_
        if _INTEGER.fullmatch(text) and 0 <= int(text) < len(names):
            return names[int(text)]
        raise held.error(f"is none of {', '.join(names)}")

    def is_choice(self, name: str, *names: str) -> bool:
        """Return whether an enum field has one of these names or numbers, in any case."""
        return self.text(name).casefold() in {one.casefold() for one in names}

    def error(self, what: str) -> LintError:
        """Build an error about this value."""
        line = f"line {self.line}: " if self.line else ""
        return LintError(f"{line}{self.place or 'the file'} {what}; Envoy would refuse it")

    # ---- Words -----------------------------------------------------------------------------------

    def _child(self, key: str, raw: RawValue, words: tuple[str, ...]) -> ConfigNode:
        return ConfigNode(raw, (*self.path, key), (*self.trail, *words))

    def _named(self, name: str, raw: RawValue) -> tuple[str, ...]:
        if name in _UNNAMED:
            return ()
        if name in _NAMED:
            return _label(_NAMED[name], None, raw)
        return (name,)


def _type(url: str) -> str:
    return url.rsplit("/", 1)[-1]


def _label(kind: str, index: int | None, raw: RawValue) -> tuple[str, ...]:
    """Name a place, as in ``route 3``; the connection manager's own entry has no name."""
    held = raw.value.get("name") if isinstance(raw.value, dict) else None
    name = held.value if held is not None and isinstance(held.value, str) else ""
    if name == _MANAGER:
        return ()
    text = _ENVOYS_OWN.sub("", name) or ("" if index is None else str(index))
    return (f"{kind} {text}" if text else kind,)
