"""Where histories begin: two tenants, two jurisdictions, and a seeded choice of who takes part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random

from tests.support.laws import payloads
from tests.support.laws.nouns import (
    EVERYTHING,
    Approval,
    Binding,
    Content,
    Declaration,
    Documents,
    Failure,
    Floor,
    Grant,
    Item,
    Key,
    Manifest,
    Operator,
    Place,
    Question,
    Result,
    Span,
    Specification,
    Suite,
    World,
    artifact,
)
from tests.support.simulator.predicates import sha

BASE = "gpt-4o-2024-08-06"
PARENT = f"ft:{BASE}:acme:v1:p"
CHILD = f"ft:{BASE}:acme:v2:c"
JUDGE = "gpt-4.1-2025-04-14"
"""Another base model, whose answers went into every run."""

OTHER = f"ft:{BASE}:globex:v1:g"
PROD = "spiffe://acme.example/env/prod"
DUAL = "spiffe://acme.example/env/dual"
GLOBEX = "spiffe://globex.example/env/prod"
CHAT, RESPONSES, TUNE = "chat.completions", "responses", "fine_tuning.jobs.create"
OPERATIONS = (CHAT, RESPONSES, TUNE)
DEPLOYMENT = "support-prod"
DAY = 24
LONG = Span(-90 * DAY, 90 * DAY)
EVERYWHERE = ("eu", "us")
OF = {PROD: ("eu",), DUAL: EVERYWHERE, GLOBEX: ("us",)}

SUITES = (
    Suite("adversarial", sha("suite adversarial")),
    Suite("compliance", sha("suite eu"), "eu"),
    Suite("compliance", sha("suite us"), "us"),
)


def tenant(environments: str) -> tuple[str, ...]:
    return (f"spiffe://{environments}.example/**",)


PLACE = Place(tenant("acme")[0], EVERYWHERE, "finance", "support", OPERATIONS)
SPECIFICATION = Specification(("openai/**",), (PLACE,), SUITES, Span(-80 * DAY, 90 * DAY))
"""Under which ``CHILD`` was tuned, and may be tuned further."""

UNDER = payloads.item(SPECIFICATION).digest

QUESTIONS = (
    Question(PROD, PARENT),
    Question(DUAL, CHILD),
    Question(PROD, CHILD, deployment=DEPLOYMENT),
    Question(GLOBEX, OTHER),
    Question(DUAL, BASE),
    Question(PROD, PARENT, others=(CHILD,)),
    Question(DUAL, BASE, others=(CHILD, PARENT)),
    Question(DUAL, BASE, TUNE, tunes=UNDER),
    Question(PROD, CHILD, TUNE, tunes=UNDER),
)


@dataclass
class Start:
    """A world in which everything is admitted, and who may do what in it."""

    world: World
    producers: tuple[str, ...]
    evaluators: tuple[str, ...]
    approvers: dict[str, tuple[str, ...]]
    journal: dict[str, list[Item]] = field(default_factory=dict)
    laboratory: str | None = None

    def open_laboratory(self, environment: str, name: str, documents: Documents) -> None:
        """Let an authority with a sandbox take part; ``laboratory`` is its environment."""
        self.world.published[name] = documents
        self.world.credentials[environment] = name
        self.producers, self.evaluators, self.approvers = _cast(self.world.operator)
        self.laboratory = environment


def grants(rng: Random) -> dict[str, tuple[Grant, ...]]:
    """A seeded cast: every role is held by two to four authorities, some hold two roles."""
    acme, globex = tenant("acme"), tenant("globex")
    reach = rng.choice((EVERYTHING, EVERYTHING, ("eu",)))
    models = (f"openai/ft:{BASE}:acme:**", f"openai/{BASE}")
    found: dict[str, tuple[Grant, ...]] = {
        "acme-ml": (Grant("producer", jurisdictions=reach, models=models, environments=acme),),
        "globex-ml": (Grant("producer", environments=globex),),
        "eval-a": (Grant("evaluator"),),
        "eval-b": (Grant("evaluator", jurisdictions=rng.choice((("**",), ("eu",)))),),
        "provider": (Grant("provider", base_models=("openai/gpt-*",)),),
        "reseller": (
            Grant(
                "provider",
                environments=rng.choice((globex, ("**",))),
                jurisdictions=("us",),
                base_models=("openai/gpt-*",),
            ),
        ),
        "acme": (Grant("customer", environments=acme, trust_domains=("acme.example",)),),
        "globex": (Grant("customer", environments=globex, trust_domains=("globex.example",)),),
        "eu-a": (Grant("regulator", jurisdictions=("eu",)),),
        "us-a": (Grant("regulator", jurisdictions=("us",)),),
        "auditor": (Grant("auditor"),),
    }
    extras: dict[str, tuple[Grant, ...]] = {
        "eu-b": (Grant("regulator", jurisdictions=("eu",)),),
        "us-b": (Grant("regulator", jurisdictions=("us",), environments=acme),),
        "world": (Grant("regulator"), Grant("evaluator")),
        "acme-risk": (Grant("customer", environments=acme),),
        "ml-two": (Grant("producer"),),
        "second-look": (Grant("evaluator"), Grant("auditor")),
        "echo": (Grant("evaluator"),),
    }
    found |= {name: theirs for name, theirs in extras.items() if rng.random() < 0.6}
    return {name: tuple(_silence(rng, g) for g in theirs) for name, theirs in found.items()}


def _silence(rng: Random, grant: Grant) -> Grant:
    return replace(grant, silence=rng.choice((None, None, None, "denies", "ignored")))


def start(rng: Random, *, specified: bool = False) -> Start:
    """The first hour of a history; ``specified`` states whether a specification is required."""
    operator = Operator(
        grants=grants(rng),
        floors=rng.choice(
            ((), (), (Floor((DUAL,), ("eu",)),), (Floor((f"{PROD}*",), ("eu",), "finance"),))
        ),
        required_roles=rng.choice(((), (), ("auditor",))),
        jurisdiction_roles=rng.choice(({}, {}, {"us": ("auditor",)})),
        specified=specified,
    )
    world = World(operator, {PROD: "acme", DUAL: "acme", GLOBEX: "globex"})
    for name in operator.grants:
        # One authority publishes another's key as its own: one key still fills one role.
        held = "eu-a/1" if name == "echo" else f"{name}/1"
        keys = (Key(held, LONG),)
        world.published[name] = Documents(keys, expires=2 * DAY)
    made = Start(world, *_cast(operator))
    for environment, jurisdictions in OF.items():
        who = world.credentials[environment]
        sign(made, declaration(environment, jurisdictions), who)
    sign(made, SPECIFICATION, "acme")
    under = UNDER if specified else None
    parent = sign(made, replace(manifest(PARENT), specification=under), "acme-ml")
    tuned = manifest(CHILD, base=PARENT, parent=parent.digest)
    named = rng.choice((UNDER, None)) or under
    child = sign(made, replace(tuned, specification=named), "acme-ml")
    other = sign(made, manifest(OTHER), "globex-ml")
    for item in (parent, child, other):
        complete(made, item, rng)
    sign(made, Binding(DEPLOYMENT, CHILD, child.digest, LONG), "provider")
    return made


def _cast(
    operator: Operator,
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, tuple[str, ...]]]:
    by_role: dict[str, list[str]] = {}
    for name, theirs in operator.grants.items():
        for grant in theirs:
            by_role.setdefault(grant.role, []).append(name)
    producers, evaluators = by_role.pop("producer"), by_role.pop("evaluator")
    return tuple(producers), tuple(evaluators), {r: tuple(n) for r, n in by_role.items()}


def sign(made: Start, content: Content, *authorities: str) -> Item:
    """Put an item into the folder, signed by the authorities' newest keys."""
    item = signed_item(made.world, content, authorities)
    made.world.files.append(item)
    for name in authorities:
        made.journal.setdefault(name, []).append(item)
    return item


def signed_item(world: World, content: Content, authorities: Iterable[str]) -> Item:
    keys = frozenset(world.published[name].keys[-1].name for name in authorities)
    return replace(payloads.item(content), keys=keys)


def complete(made: Start, item: Item, rng: Random) -> None:
    """Everything that admits a manifest, said by somebody able to."""
    for content, who in needed(made, item, rng):
        sign(made, content, who)


def needed(made: Start, item: Item, rng: Random) -> list[tuple[Content, str]]:
    """Results and approvals that together admit a manifest, each with its author."""
    manifest = item.content
    assert isinstance(manifest, Manifest)
    acme = "acme" in manifest.model
    found: list[tuple[Content, str]] = [(result(item), "eval-a")]
    if rng.random() < 0.3 and "second-look" in made.evaluators:
        found.append((result(item), "second-look"))
    found.append((approval(item, "provider"), "provider"))
    found.append((approval(item, "customer"), "acme" if acme else "globex"))
    found.append((approval(item, "auditor"), "auditor"))
    found.extend(
        (approval(item, "regulator", jurisdictions=(name[:2],)), name)
        for name in made.approvers["regulator"]
        if name[:2] in EVERYWHERE and (name[-1] == "a" or rng.random() < 0.5)
    )
    return found


def declaration(
    environment: str,
    jurisdictions: tuple[str, ...],
    span: Span = LONG,
    base_models: tuple[str, ...] = (f"openai/{BASE}",),
    sector: str = "finance",
) -> Declaration:
    return Declaration(
        environment, jurisdictions, sector, "support", base_models, span, base_models
    )


def manifest(
    model: str,
    *,
    base: str = BASE,
    parent: str | None = None,
    supersedes: str | None = None,
) -> Manifest:
    pattern = tenant("acme" if "acme" in model else "globex")[0]
    return Manifest(
        model=model,
        base=base,
        parent=parent,
        supersedes=supersedes,
        corpora=(sha(f"corpus {model} {supersedes}"), sha("shared corpus")),
        evaluations=(sha(f"metrics {model}"),),
        graders=(sha(f"grader {model}"),),
        used=(JUDGE,),
        run=f"ftjob-{model[-1]}",
        suites=SUITES,
        places=(replace(PLACE, pattern=pattern),),
        required=("provider",),
        span=LONG,
    )


def result(item: Item, span: Span = LONG, outcome: str = "PASSED") -> Result:
    assert isinstance(item.content, Manifest)
    score = 0.95 if outcome == "PASSED" else 0.5
    return Result(item.content.model, item.digest, outcome, item.content.suites, score, span)


def failure(item: Item, suite: str, result: str) -> Failure:
    """Of every third result one of an old release, and of another one without the run."""
    assert isinstance(item.content, Manifest)
    made, how = item.content, int(result[0], 16) % 3
    if how == 0:
        return Failure(item.digest, suite, result)
    named = Failure(item.digest, suite, result, artifact(made.model))
    return named if how == 1 else replace(named, model=f"openai/{made.model}", run=made.run)


def approval(
    item: Item, role: str, jurisdictions: tuple[str, ...] = EVERYWHERE, span: Span = LONG
) -> Approval:
    assert isinstance(item.content, Manifest)
    where = item.content.places[0].pattern
    return Approval(
        item.content.model, item.digest, role, jurisdictions, (where,), OPERATIONS, span
    )
