"""Steps that sign evidence, and those that lose and find files of it."""

from __future__ import annotations

from datetime import timedelta

from sidecar.core.documents import Failure, Supersession
from sidecar.core.evidence import parse_statement
from sidecar.core.grants import EVALUATOR, PRODUCER, REGULATOR
from sidecar.core.predicates import Result
from sidecar.simulate import statements
from sidecar.simulate.entries import Approve, Bind, Declare, Deploy, EvidenceEntry, Judge, Resign
from sidecar.simulate.naming import ActError, evidence, known, listed, party_of
from sidecar.simulate.party import EvidenceFile
from sidecar.simulate.world import World


def declare(world: World, entry: Declare) -> str:
    """Sign a declaration of an environment."""
    party = party_of(world, entry.by)
    known(entry.environment, world.environments, "environment")
    statement = statements.declared(world, entry)
    world.put(party.sign(statement, "declaration", entry.environment))
    where = entry.jurisdictions or world.environments[entry.environment].jurisdictions
    return f"{entry.by} declares environment {entry.environment} for {listed(where)}"


def bind(world: World, entry: Bind) -> str:
    """Sign a manifest, and announce what it supersedes."""
    party = party_of(world, entry.by)
    if entry.manifest in world.manifests:
        raise ActError(f"a manifest is called {entry.manifest!r} already; give it another name")
    for name in filter(None, (entry.parent, entry.supersedes)):
        known(name, world.manifests, "manifest")
    for name in entry.environments:
        known(name, world.environments, "environment")
    file = party.sign(statements.bound(world, entry), "manifest", entry.manifest)
    world.put(file)
    world.manifests[entry.manifest] = file
    manifest = statements.manifest_of(file)
    world.subjects["model", entry.manifest] = manifest.model.id
    world.subjects["run", entry.manifest] = manifest.run.id
    for corpus in manifest.corpora:
        world.subjects["corpus", corpus.name] = corpus.digest.sha256
    for suite in manifest.envelope.suites:
        world.subjects["suite", suite.name] = suite.digest.sha256
    sentence = f"{entry.by} binds manifest {entry.manifest}"
    if entry.parent is not None:
        sentence += f", tuned from {entry.parent}"
    if entry.supersedes is not None:
        old = world.manifests[entry.supersedes]
        party.supersessions.append(Supersession(old.digest, file.digest))
        sentence += f", which supersedes {entry.supersedes}"
    return sentence


def pass_(world: World, entry: Judge) -> str:
    """Sign a PASSED result."""
    _judge(world, entry, passed=True)
    return f"{entry.by} countersigns {_suites(entry)} of {entry.manifest} as PASSED"


def fail(world: World, entry: Judge) -> str:
    """Sign a FAILED result and publish it, which alone counts, in the author's document."""
    file = _judge(world, entry, passed=False)
    result = parse_statement(file.payload).predicate
    if isinstance(result, Result):
        tested = world.manifests[entry.manifest]
        claim, subject = statements.manifest_of(tested), parse_statement(tested.payload).subject
        party_of(world, entry.by).failures.extend(
            Failure(
                tested.digest,
                row.digest.sha256,
                file.digest,
                "below its threshold",
                subject.digest.sha256,
                f"{claim.model.provider}/{claim.model.id}",
                claim.run.id,
            )
            for row in result.configuration
        )
    return f"{entry.by} publishes {_suites(entry)} of {entry.manifest} as FAILED"


def _judge(world: World, entry: Judge, *, passed: bool) -> EvidenceFile:
    party = party_of(world, entry.by)
    known(entry.manifest, world.manifests, "manifest")
    declared = statements.manifest_of(world.manifests[entry.manifest]).envelope.suites
    for name in entry.suites:
        known(name, {suite.name: suite for suite in declared}, "suite")
    statement = statements.judged(world, entry, passed=passed)
    file = party.sign(statement, "result", entry.manifest)
    world.put(file)
    return file


def approve(world: World, entry: Approve) -> str:
    """Sign an approval."""
    party = party_of(world, entry.by)
    known(entry.manifest, world.manifests, "manifest")
    role = entry.as_ or _first_role(world, entry.by)
    world.put(party.sign(statements.approved(world, entry, role), "approval", entry.manifest))
    where = f" for {listed(entry.jurisdictions)}" if entry.jurisdictions else ""
    return f"{entry.by} approves {entry.manifest} as {role}{where}"


def all_agree(world: World, manifest: str) -> str:
    """Let each authority act by its grants: evaluators pass, the others approve."""
    known(manifest, world.manifests, "manifest")
    for name, grants in world.operator.grants.items():
        world.now += timedelta(seconds=1)  # so that no two of them sign the same bytes
        roles = list(dict.fromkeys(grant.role for grant in grants))
        if roles[0] == EVALUATOR:
            pass_(world, Judge(by=name, manifest=manifest))
        elif roles[0] != PRODUCER:
            mine = tuple(name for name in grants[0].jurisdictions if "*" not in name)
            where = mine if roles[0] == REGULATOR else ()
            entry = {"by": name, "manifest": manifest, "as": roles[0], "jurisdictions": where}
            approve(world, Approve.model_validate(entry))
    return f"every evaluator passes {manifest}, and everybody else approves it"


def deploy(world: World, entry: Deploy) -> str:
    """Sign a deployment binding."""
    party = party_of(world, entry.by)
    if entry.manifest is not None:
        known(entry.manifest, world.manifests, "manifest")
    world.put(party.sign(statements.deployed(world, entry), "binding", entry.deployment))
    return f"{entry.by} binds deployment {entry.deployment} to {entry.manifest or entry.base}"


def resign(world: World, entry: Resign) -> str:
    """Add the current key to everything an authority signed."""
    party = party_of(world, entry.by)
    for file in dict.fromkeys(party.signed):
        world.put(party.resign(world.files.get(file.digest, file)))
    return f"{entry.by} adds its current key's signature to everything it signed"


def lose(world: World, entry: EvidenceEntry) -> str:
    """Take a file out of the folder."""
    file = evidence(entry, world.files.values())
    del world.files[file.digest]
    world.lost.append(file)
    return f"the file of {file.named} is lost"


def find(world: World, entry: EvidenceEntry) -> str:
    """Put a lost file back into the folder."""
    file = evidence(entry, world.lost)
    world.put(file)
    return f"the file of {file.named} is found again"


def _first_role(world: World, name: str) -> str:
    grants = world.operator.grants.get(name, ())
    if not grants:
        raise ActError(f"{name} is granted no role; say in which one it approves: 'as: ROLE'")
    return grants[0].role


def _suites(entry: Judge) -> str:
    return f"{listed(entry.suites)}" if entry.suites else "every suite"
