"""Evaluate matchers of a configuration on sample values."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import cache

from envoy_extauthz_lint.node import ConfigNode

CALLS = (
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/images/generations",
    "/v1/audio/speech",
    "/v1/batches",
    "/v1/fine_tuning/jobs",
    "/openai/v1/chat/completions",
    "/openai/deployments/a/chat/completions",
    "/model/a/converse",
    "/model/a/invoke",
)
"""Sample paths of calls that name a model in the body."""

OTHER_PATH = "/some/other/path"
"""Sample path that no model is called at; a route that takes it takes any path."""

_MODEL_PATH = re.compile(
    r"completions|/embeddings\b|/responses\b|/messages\b|/converse|generateContent|/deployments/"
    r"|/(?:openai|anthropic|claude|gemini|vertex|bedrock|mistral|cohere|groq|llm|llms|genai)\b",
    re.IGNORECASE,
)
"""Parts of paths at which models are called, by the APIs in use."""

LOOPBACK = re.compile(r"127(\.[0-9]{1,3}){3}|::1|localhost|\[::1\]", re.IGNORECASE)


def names_provider(host: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a host, or a wildcard such as ``*.openai.azure.com``, matches a pattern."""
    name = host.rstrip(".").lower().partition(":")[0]
    return bool(name) and bool(patterns) and _any_pattern(patterns).fullmatch(name) is not None


@cache
def _any_pattern(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern.lower()) for pattern in patterns))


def string_matches(matcher: ConfigNode, text: str) -> bool | None:
    """Evaluate a ``StringMatcher``; None where it cannot be evaluated."""
    folded = matcher.flag("ignore_case")
    given = text.lower() if folded else text

    def wanted(kind: str) -> str:
        return matcher.text(kind).lower() if folded else matcher.text(kind)

    if matcher.has("exact"):
        return given == wanted("exact")
    if matcher.has("prefix"):
        return given.startswith(wanted("prefix"))
    if matcher.has("suffix"):
        return given.endswith(wanted("suffix"))
    if matcher.has("contains"):
        return wanted("contains") in given
    regex = matcher.at("safe_regex", "regex")
    return None if regex is None else regex_matches(regex.string(), text)


def regex_matches(regex: str, text: str) -> bool | None:
    """Match a whole text against an RE2 expression; None where Python cannot compile it.

    Python's syntax includes RE2's, except for a few escapes that Python rejects.
    """
    try:
        return re.fullmatch(regex, text) is not None
    except (re.error, RecursionError, OverflowError):
        return None


def any_matches(matchers: list[ConfigNode], text: str) -> bool | None:
    """Return whether any matcher matches; None where none does and one is unknown."""
    answers = [string_matches(matcher, text) for matcher in matchers]
    if any(answers):
        return True
    return None if None in answers else False


def route_takes(match: ConfigNode | None, path: str) -> bool:
    """Return whether a ``RouteMatch`` may match ``path``; unknown matchers count as matching.

    Headers, query and cookies are ignored, because the client chooses them.
    """
    if match is None:
        return True
    folded = match.get("case_sensitive") is not None and not match.flag("case_sensitive")

    def spelt(kind: str) -> str:
        return match.text(kind).lower() if folded else match.text(kind)

    given = path.lower() if folded else path
    if match.has("path"):
        return given == spelt("path")
    if match.has("prefix"):
        return given.startswith(spelt("prefix"))
    if match.has("path_separated_prefix"):
        prefix = spelt("path_separated_prefix")
        return given == prefix or given.startswith(f"{prefix}/")
    regex = match.at("safe_regex", "regex")
    return True if regex is None else regex_matches(regex.string(), path) is not False


def looks_like_calls(match: ConfigNode | None) -> bool:
    """Return whether a route is for model calls: it names one, or takes them and not all paths."""
    if match is None:
        return False
    text = "".join(match.text(kind) for kind in ("path", "prefix", "path_separated_prefix"))
    regex = match.at("safe_regex", "regex")
    if _MODEL_PATH.search(text if regex is None else regex.string()):
        return True
    return bool(calls_taken(match)) and not route_takes(match, OTHER_PATH)


def calls_taken(match: ConfigNode | None) -> list[str]:
    """Return the sample calls that a route would match."""
    return [path for path in CALLS if route_takes(match, path)]
