"""Builds, signs and verifies policy bundles, whose revision is the hash of their content.

Theory of operation. A bundle is made in one of two ways. In both, its bytes are copied into a
private folder before they are used.

*From a folder of policies.* The tree is read once and hashed; OPA builds from a copy, under the
tree's own capabilities, and signs. Without a key of the operator's, one is generated for this
bundle alone; its private key is deleted after signing, so a changed bundle is not served.

*From a signed file.* The copy is verified with the operator's key and compiled under deterministic
capabilities (without network, clock and randomness), because ``opa run`` accepts no capabilities.
The revision is the one in the verified bundle.

OPA verifies the signature once more when it starts with it.
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sidecar.durable.files import read_bounded
from sidecar.opa import capabilities, executable, signing, tree
from sidecar.opa.errors import PolicyError
from sidecar.opa.signing import SigningKey, VerificationKey
from sidecar.opa.tree import CAPABILITIES, Tree

BUNDLE = "bundle.tar.gz"
PUBLIC = "verification.pem"
MAX_BUNDLE_BYTES = 64 << 20
_REVISION_FILE = "data.json"
_MANIFEST = ".manifest"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A signed bundle with its revision, its jurisdictions, and the key that verifies it."""

    path: Path
    revision: str
    jurisdictions: tuple[str, ...]
    verification: VerificationKey


class Candidate(Protocol):
    """Policies as they were read at one time, not yet compiled or verified."""

    @property
    def identity(self) -> str:
        """Return a string that differs whenever the bytes read differ."""
        ...

    def make(self, program: Path, folder: Path) -> Bundle:
        """Make a bundle in ``folder``, which is empty and private.

        Raises:
            PolicyError: OPA refuses the policies, or the signature is not the operator's.
        """
        ...


class PolicySource(Protocol):
    """A source of policies."""

    @property
    def place(self) -> Path:
        """Return the folder in which changes are detected."""
        ...

    def read(self) -> Candidate:
        """Read the current policies.

        Raises:
            PolicyError: It cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of policies; a bundle built from it is signed with an ephemeral key."""

    place: Path

    def read(self) -> Candidate:
        """Read the folder."""
        return _Unbuilt(tree.read(self.place))


@dataclass(frozen=True, slots=True)
class SignedFile:
    """A signed bundle, and the PEM file of the public key that verifies it."""

    path: Path
    key: Path

    @property
    def place(self) -> Path:
        """Return the bundle's folder."""
        return self.path.parent

    def read(self) -> Candidate:
        """Read bundle and key."""
        return _Unverified(self.path, self.key, _read(self.path), _read(self.key))


@dataclass(frozen=True, slots=True)
class _Unbuilt:
    tree: Tree

    @property
    def identity(self) -> str:
        return self.tree.revision

    def make(self, program: Path, folder: Path) -> Bundle:
        return build(program, self.tree, folder)


@dataclass(frozen=True, slots=True)
class _Unverified:
    path: Path
    key_path: Path
    bundle: bytes
    key: bytes

    @property
    def identity(self) -> str:
        return "sha256:" + tree.revision_of({"bundle": self.bundle, "key": self.key})

    def make(self, program: Path, folder: Path) -> Bundle:
        copy, key = folder / BUNDLE, folder / PUBLIC
        copy.write_bytes(self.bundle)
        key.write_bytes(self.key)
        try:
            verification = signing.verification_key(key)
        except PolicyError as error:
            raise PolicyError(str(error).replace(str(key), str(self.key_path))) from error
        try:
            return verify(program, copy, verification, folder)
        except PolicyError as error:
            raise PolicyError(f"{self.path}: {str(error).replace(f'{folder}/', '')}") from error


def build(program: Path, policies: Tree, folder: Path, key: SigningKey | None = None) -> Bundle:
    """Build and sign a bundle.

    Args:
        program: OPA.
        policies: The tree.
        folder: An empty private folder; the bundle and the public key are written there.
        key: Signs the bundle; ``None`` for an ephemeral key.

    Raises:
        PolicyError: OPA refuses the policies.
    """
    copy, bundle = folder / "policies", folder / BUNDLE
    policies.write(copy)
    (copy / _REVISION_FILE).write_text(json.dumps({"revision": policies.revision}))
    signer = signing.ephemeral(folder) if key is None else key
    try:
        executable.run_checked(
            program, "build", "--bundle", ".", "--output", bundle,
            "--revision", policies.revision, "--capabilities", CAPABILITIES,
            "--ignore", CAPABILITIES, "--signing-key", signer.path.absolute(),
            "--signing-alg", signer.algorithm, "--claims-file", signing.write_claims(folder),
            folder=copy,
        )  # fmt: skip
    finally:
        if key is None:
            signer.path.unlink()
    public = signing.write_public(signer, folder / PUBLIC)
    return Bundle(bundle, policies.revision, policies.jurisdictions, public)


def verify(program: Path, bundle: Path, key: VerificationKey, folder: Path) -> Bundle:
    """Verify a bundle and compile it under deterministic capabilities.

    Args:
        program: OPA.
        bundle: The file; other users must not be able to change it.
        key: The key that must have signed it.
        folder: A private folder for the results.

    Raises:
        PolicyError: The signature is missing or not over these bytes, the policies do not compile,
            or the bundle has no revision.
    """
    allowed = folder / CAPABILITIES
    allowed.write_text(json.dumps(capabilities.deterministic(program)))
    compiled = folder / "compiled.tar.gz"
    executable.run_checked(
        program, "build", "--bundle", bundle.name, "--output", compiled, "--capabilities", allowed,
        *executable.verification_args(VerificationKey(key.path.absolute(), key.algorithm)),
        folder=bundle.parent,
    )  # fmt: skip
    compiled.unlink()
    revision, jurisdictions = _contents(bundle)
    return Bundle(bundle, revision, jurisdictions, key)


def _contents(bundle: Path) -> tuple[str, tuple[str, ...]]:
    """Return the revision in a verified bundle's data, and its jurisdictions."""
    with tarfile.open(bundle) as archive:
        members = {member.name.lstrip("/"): member for member in archive.getmembers()}
        stamp = members.get(_REVISION_FILE)
        data = None if stamp is None else archive.extractfile(stamp)
        value = {} if data is None else json.loads(data.read())
        manifest = members.get(_MANIFEST)
        stated = None if manifest is None else archive.extractfile(manifest)
        roots = (json.loads(stated.read()) if stated is not None else {}).get("roots", [""])
    revision = value.get("revision")
    if not isinstance(revision, str) or not revision:
        raise PolicyError("the bundle has no revision as data")
    if roots != [""]:
        # Outside the roots, a client of OPA's API could add policies and data of its own.
        raise PolicyError(
            f'the bundle has the roots {roots}, expected [""]: build it without a list of roots'
        )
    return revision, tree.jurisdictions_of(members)


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path, MAX_BUNDLE_BYTES)
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror}") from error
