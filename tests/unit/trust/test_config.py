"""``trust.yaml``: read whole, or refused in one line that says what to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root

from sidecar.core.grants import Floor, Grant, OperatorTrust
from sidecar.providers import ADAPTED_NAMES
from sidecar.trust import limits, operator_record
from sidecar.trust.config import (
    TrustConfig,
    TrustConfigError,
    TrustedAuthority,
    load,
)
from sidecar.trust.control import ControlPath
from sidecar.trust.load_once import load_once
from sidecar.trust.source_config import DirectorySourceConfig
from tests.unit.trust.mistakes import MISTAKES, Change
from tests.unit.trust.operator import Operator
from tests.unit.trust.repository import HOUR, Repository, now, sign, under_another_id

ALL = ("**",)


def test_a_whole_file_becomes_frozen_values(operator: Operator) -> None:
    operator.value["required_roles"] = ["provider", "customer", "regulator"]
    operator.value["jurisdictions"] = {"eu": {"required_roles": ["customer"]}}
    operator.value["specification"] = "required"
    operator.value["floors"] = [
        {
            "environments": ["spiffe://acme.example/prod/*"],
            "jurisdictions": ["eu"],
            "sector": "finance",
            "roles": ["regulator"],
        },
        {"environments": ["**"], "roles": ["provider"]},
    ]
    operator.value["authorities"][2]["grants"][0]["silence"] = "ignored"
    folder = operator.folder
    assert operator.load() == TrustConfig(
        path=folder / "trust.yaml",
        operator=OperatorTrust(
            MappingProxyType(
                {
                    "acme": (
                        Grant("customer", ALL, ALL, ALL, ALL, trust_domains=("acme.example",)),
                    ),
                    "maker": (
                        Grant(
                            "provider",
                            ALL,
                            ALL,
                            ALL,
                            ALL,
                            base_models=("openai/**",),
                            of_record=True,
                        ),
                    ),
                    "office": (Grant("regulator", ALL, ALL, ALL, ALL, silence="ignored"),),
                }
            ),
            ("provider", "customer", "regulator"),
            MappingProxyType({"eu": ("customer",)}),
            (
                Floor(("spiffe://acme.example/prod/*",), ("eu",), ("regulator",), "finance"),
                Floor(("**",), roles=("provider",)),
            ),
            ADAPTED_NAMES,
            specified=True,
        ),
        authorities=tuple(
            TrustedAuthority(
                name, repo.first_root, DirectorySourceConfig(folder / "authorities" / name)
            )
            for name, repo in operator.repositories.items()
        ),
        evidence=(DirectorySourceConfig(folder / "evidence"),),
        state_dir=folder / "state",
        poll_seconds=0.2,
    )


def test_what_workers_read_from_the_store_is_what_was_configured(operator: Operator) -> None:
    operator.value["specification"] = "required"
    configured = operator.load().operator
    assert operator_record.read(operator_record.write(configured)) == configured


def test_what_is_optional_has_a_stated_default(operator: Operator) -> None:
    del operator.value["specification"]
    del operator.value["poll_seconds"]
    config = operator.load()
    assert config.poll_seconds == 5.0
    assert config.operator.required_roles == ()
    assert config.operator.jurisdiction_roles == {}
    assert config.operator.specified
    assert config.operator.floors == ()
    assert {
        grant.role: grant.silence_denies
        for grants in config.operator.grants.values()
        for grant in grants
    } == {"customer": True, "provider": True, "regulator": True}


def test_a_grant_may_have_another_name_beside_the_one_of_calls(operator: Operator) -> None:
    """A name by which older manifests have their base counts beside the one that calls have."""
    granted = operator.value["authorities"][1]["grants"][0]
    names = ("vertex/gemini-2.5-*", "vertex/publishers/google/models/*")
    granted.update(
        models=list(names),
        base_models=list(names),
    )
    (found,) = operator.load().operator.of("maker")
    assert (found.models, found.base_models) == (names, names)


def test_an_expired_pinned_root_is_fine(operator: Operator) -> None:
    """It is where the chain starts; only where it ends must be current."""
    repo = operator.repositories["acme"]
    repo.expires["root"] = now() - HOUR
    (operator.folder / "roots/acme.json").write_bytes(repo.rotate_root(write=False))
    assert operator.load().authorities[0].root != repo.first_root


def refused(operator: Operator) -> str:
    """Load, which must fail, in one line that begins with the file."""
    with pytest.raises(TrustConfigError) as caught:
        operator.load()
    return told(caught.value, operator.path)


def told(error: TrustConfigError, path: Path) -> str:
    line = str(error)
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("change", "line"), [each[1:] for each in MISTAKES], ids=[each[0] for each in MISTAKES]
)
def test_a_mistake_is_reported_in_one_line(operator: Operator, change: Change, line: str) -> None:
    operator.load()
    change(operator.value)
    assert refused(operator) == line


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "is not a mapping; it begins with 'version: 1'"),
        (b"[]", "is not a mapping; it begins with 'version: 1'"),
        (b"a: [", "line 1: expected the node content, but found '<stream end>'"),
        (b"version: 1\nversion: 1\n", "line 2: the key 'version' is given twice"),
        (b"a:\n  b: 1\n  'b': 2\n", "line 3: the key 'b' is given twice"),
        (b"1: 2", "line 1: the key 1 is not text"),
        (b"[1]: 2", "line 1: the key [1] is not text"),
        (
            b"a: !!python/object/apply:os.getcwd []",
            "line 1: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object/apply:os.getcwd'",
        ),
        (b"\xff\xfea", "is not YAML"),
        (b"a: " + b"[" * 5000, "is not YAML in UTF-8"),
        (b"#" * (limits.MAX_CONFIG_BYTES + 1), "is larger than 1048576 bytes"),
    ],
)
def test_what_is_no_yaml_is_reported(tmp_path: Path, data: bytes, line: str) -> None:
    path = tmp_path / "trust.yaml"
    path.write_bytes(data)
    with pytest.raises(TrustConfigError) as caught:
        load(path)
    assert told(caught.value, path) == line


def test_an_absent_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(TrustConfigError) as caught:
        load(tmp_path / "trust.yaml")
    assert told(caught.value, tmp_path / "trust.yaml") == (
        "cannot be read: No such file or directory"
    )


# pinned roots


def twice(repo: Repository) -> bytes:
    once = CryptoSigner.generate_ed25519()
    repo.thresholds["targets"] = 2
    return repo.rotate_root({"targets": [once, under_another_id(once, "b" * 64)]}, write=False)


def of_a_stranger(repo: Repository) -> bytes:
    root = Metadata[Root].from_bytes(repo.first_root).signed
    return sign(root, [CryptoSigner.generate_ed25519()])


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda _: b"{}", "not a TUF root document"),
        (
            lambda repo: repo.next_set()["metadata/1.targets.json"],
            "a TUF targets document, not a root",
        ),
        (twice, "role targets counts one key under two ids"),
        (of_a_stranger, "root version 1: root was signed by 0/1 keys"),
    ],
)
def test_a_root_that_cannot_be_pinned_is_reported(
    operator: Operator, make: Callable[[Repository], bytes], why: str
) -> None:
    path = operator.folder / "roots/maker.json"
    path.write_bytes(make(operator.repositories["maker"]))
    assert refused(operator) == (
        f"authorities.1.root: {path} is refused: {why}; pin the root that the authority gave you"
    )


def test_a_missing_root_is_reported(operator: Operator) -> None:
    path = operator.folder / "roots/maker.json"
    path.unlink()
    assert refused(operator) == (
        f"authorities.1.root: {path} cannot be read: No such file or directory"
    )


def test_one_root_key_under_two_names_is_reported(operator: Operator) -> None:
    """One key holder with two names could fill two roles."""
    shared = operator.repositories["acme"].signers["root"]
    data = operator.repositories["office"].rotate_root({"root": shared}, write=False)
    (operator.folder / "roots/office.json").write_bytes(data)
    assert refused(operator) == (
        "authorities: acme and office share a root key; an authority needs keys of its own"
    )


# the state folder


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o740, 0o704, 0o720, 0o702, 0o710, 0o701])
def test_a_state_folder_that_is_open_to_others_is_reported(operator: Operator, mode: int) -> None:
    config = operator.load()
    config.state_dir.mkdir()
    config.state_dir.chmod(mode)
    line = f"state: {config.state_dir} is open to others (mode {mode:04o}); chmod 700 it"
    assert refused(operator) == line
    for use in (lambda: ControlPath(config, lambda _: None), lambda: load_once(config)):
        with pytest.raises(TrustConfigError) as caught:
            use()
        assert told(caught.value, operator.path) == line


def test_a_state_folder_of_another_user_is_reported(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = operator.load()
    config.state_dir.mkdir(mode=0o700)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert refused(operator) == (
        f"state: {config.state_dir} belongs to user {owner}; give it to user {owner + 1}"
    )


def test_a_state_that_is_no_folder_is_reported(operator: Operator) -> None:
    (operator.folder / "state").write_text("")
    line = f"state: {operator.folder}/state is not a folder; name another one"
    assert refused(operator) == line


def test_a_state_folder_below_a_file_is_reported(operator: Operator) -> None:
    (operator.folder / "file").write_text("")
    operator.value["state"] = "file/state"
    assert refused(operator) == f"state: {operator.folder}/file/state: Not a directory"


def test_a_state_folder_that_cannot_be_made_is_reported(operator: Operator) -> None:
    operator.value["state"] = "file/state"
    config = operator.load()
    (operator.folder / "file").write_text("")
    with pytest.raises(TrustConfigError) as caught:
        load_once(config)
    assert told(caught.value, operator.path) == (
        f"state: {operator.folder}/file/state cannot be made: Not a directory"
    )


def test_the_state_folder_is_made_for_its_owner_only(operator: Operator) -> None:
    config = operator.load()
    load_once(config)
    assert config.state_dir.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("where", ["evidence", "authorities/acme"])
def test_a_state_folder_inside_what_is_followed_is_reported(operator: Operator, where: str) -> None:
    operator.value["state"] = f"{where}/state"
    folder = operator.folder
    assert refused(operator) == (
        f"state: {folder}/{where}/state lies in {folder}/{where}, which is followed; "
        "put it elsewhere"
    )


def test_the_example_in_the_guide_grants_each_role_to_an_authority_of_its_own(
    operator: Operator,
) -> None:
    guide = Path(__file__).parents[3] / "docs/trust.md"
    text = guide.read_text().split("```yaml\n")[1].split("```")[0]
    roles = {
        "acme-model-risk": "customer",
        "openai-of-record": "provider",
        "acme-ml-platform": "producer",
        "independent-evaluator": "evaluator",
        "eu-office": "regulator",
    }
    for name in roles:
        made = Repository(operator.folder / "made" / name, name)
        (operator.folder / f"roots/{name}.root.json").write_bytes(made.first_root)
    operator.path.write_text(text)
    config = load(operator.path)
    granted = {
        each.name: [grant.role for grant in config.operator.of(each.name)]
        for each in config.authorities
    }
    assert granted == {name: [role] for name, role in roles.items()}
    assert config.operator.of("openai-of-record")[0].of_record
