"""What a statement is to the commands of authorities: what it narrows, how it is withdrawn."""

from __future__ import annotations

from tests.support.laws.nouns import (
    KIND_OF,
    Approval,
    Binding,
    Content,
    Declaration,
    Item,
    Manifest,
    Question,
    Result,
    Specification,
    Waiver,
    Withdrawal,
)
from tests.support.laws.universe import CHILD, PARENT


def entry(item: Item) -> Withdrawal:
    """What an author's command publishes to withdraw one of its own words."""
    about = item.content.manifest if isinstance(item.content, Approval | Result) else None
    return Withdrawal(KIND_OF[type(item.content)], item.digest, manifest=about)


def narrower(new: Content, old: Content) -> bool:
    """Whether the newer of two words on one matter admits anything less."""
    match new, old:
        case Approval(), Approval():
            return not set(old.jurisdictions) <= set(new.jurisdictions)
        case Declaration(), Declaration():
            same = (new.sector, new.purpose) == (old.sector, old.purpose)
            fewer = not set(old.base_models) <= set(new.base_models)
            fewer = fewer or new.span.ends < old.span.ends
            return not same or fewer or not set(new.jurisdictions) <= set(old.jurisdictions)
        case Binding(), Binding():
            same = (new.model, new.manifest) == (old.model, old.manifest)
            return not same or new.span.ends < old.span.ends
        case Result(), Result():
            return new.outcome != "PASSED"
    return False


def label(content: Content) -> str:
    match content:
        case Manifest():
            return f"manifest of {content.model[-1]}" + (" (newer)" if content.supersedes else "")
        case Approval():
            return f"approval as {content.role} of {content.model[-1]} {content.jurisdictions}"
        case Result():
            return f"{content.outcome} of {content.model[-1]}"
        case Declaration():
            return f"declaration of {content.environment} {content.jurisdictions}"
        case Binding():
            return f"binding to {content.model[-1]}"
        case Specification():
            return "specification" + (" that extends another" if content.extends else "")
        case Waiver():
            return f"waiver of {content.rule} in {content.environment}"


def matters(content: Content, question: Question) -> bool:
    """Whether a question rests on what a statement is about."""
    match content:
        case Declaration():
            return content.environment == question.environment
        case Binding():
            return question.deployment is not None
        case Specification():
            return question.tunes is not None or CHILD in question.names
        case Waiver():
            return content.environment == question.environment
        case _:
            lineage = {CHILD: {PARENT, CHILD}}
            names = {question.model, *question.others}
            return any(content.model in lineage.get(name, {name}) for name in names)
