"""Package data is the package's own, or a checkout's; never what lies beside an installation."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from sidecar import resources

CODE = Path(resources.__file__)
MARKS = ("policies/capabilities.json", "envoy/jwt.yaml", "proto/ext_authz.proto", "pyproject.toml")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages, with this one under another name."""
    package = tmp_path / "installed" / "resources_here"
    package.mkdir(parents=True)
    shutil.copy(CODE, package / "__init__.py")
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    yield tmp_path
    sys.modules.pop("resources_here", None)


def loaded() -> ModuleType:
    return importlib.import_module("resources_here")


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x", encoding="utf-8")


def test_the_packages_own_data_comes_before_a_checkout(site: Path) -> None:
    put(site, *MARKS)
    put(site / "installed" / "resources_here", "policies/a.rego", "envoy/b.yaml", "envoy/README.md")
    own = site / "installed" / "resources_here"
    assert loaded().policies() == own / "policies"
    assert loaded().envoy_configurations() == {"b": own / "envoy" / "b.yaml"}


def test_a_checkout_is_read_where_the_package_has_no_data(site: Path) -> None:
    put(site, *MARKS)
    module = loaded()
    assert (module.source_tree(), module.policies()) == (site, site / "policies")
    assert module.envoy_configuration("jwt") == "x"


@pytest.mark.parametrize("mark", MARKS)
def test_what_another_package_left_beside_it_is_not_taken_for_ours(site: Path, mark: str) -> None:
    put(site, *(other for other in MARKS if other != mark))
    module = loaded()
    assert module.source_tree() is None
    with pytest.raises(module.ResourceError, match=r"policies is missing, .* from its wheel"):
        module.policies()


def test_a_name_that_is_no_configuration_is_an_error_that_lists_them() -> None:
    with pytest.raises(resources.ResourceError, match=r"'\.\./jwt'; there are azure, bedrock,"):
        resources.envoy_configuration("../jwt")
