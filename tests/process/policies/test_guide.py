"""The authors' guide builds ``uk`` step by step: what it says is what is there, and it works."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sidecar.opa import bundle as bundles
from sidecar.opa import tree as trees
from sidecar.opa.executable import process_environment
from sidecar.opa.location import opa_path
from sidecar.opa.server import DECISION, UnixConnection
from tests.process.policies.facts import SATISFIED, admitted, facts_in
from tests.process.policies.opa import (
    NOT_THE_DECISION,
    POLICIES,
    ROOT,
    OpaServer,
    build_bundle,
    change_data,
    copy_policies,
)
from tests.process.policy.keys import write_pair

UNAUTHORIZED = 401
GUIDE = ROOT / "docs" / "policy-authors.md"


def steps() -> dict[str, str]:
    """What the guide writes into each file: a block goes to the file named last before it."""
    parts = re.split(r"```(?:json|rego)\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    files: dict[str, list[str]] = {}
    for text, block in zip(parts[::2], parts[1::2], strict=False):
        name = re.findall(r"`policies/([\w./-]+\.(?:json|rego))`", text)[-1]
        files.setdefault(name, []).append(block)
    return {name: "\n".join(blocks) for name, blocks in files.items()}


def without_uk(folder: Path) -> Path:
    """A copy of the policies in which nothing of ``uk`` is left."""
    tree = copy_policies(folder)
    shutil.rmtree(tree / "jurisdiction" / "uk")
    shutil.rmtree(tree / "params" / "uk")
    (tree / "schemas" / "params.uk.schema.json").unlink()
    return tree


def built(folder: Path) -> Path:
    """The policies after somebody followed the guide."""
    tree = without_uk(folder)
    for name, text in steps().items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    return tree


def test_the_guide_says_what_is_there() -> None:
    assert steps() == {
        name: (POLICIES / name).read_text()
        for name in (
            "params/uk/data.json",
            "schemas/params.uk.schema.json",
            "jurisdiction/uk/uk.rego",
            "jurisdiction/uk/uk_test.rego",
        )
    }


def test_what_is_built_as_the_guide_says_is_what_all_checks_and_tests_pass(tmp_path: Path) -> None:
    assert contents(built(tmp_path)) == contents(POLICIES)


def test_a_jurisdiction_built_as_the_guide_says_is_held_to(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    personal = facts_in("eu", "uk")
    personal["adaptations"][0]["corpora"][0]["classes"] = ["personal-data"]
    for folder in (before, after):
        folder.mkdir()
    with OpaServer(build_bundle(before, tree=without_uk(before)), before) as running:
        unknown = running.decide(facts_in("eu", "uk"))
    with OpaServer(build_bundle(after, tree=built(after)), after) as running:
        assert running.decide(facts_in("eu", "uk")) == admitted("eu", "uk")
        denied = running.decide(personal)
    assert [one["code"] for one in unknown["violations"]] == ["jurisdiction_unknown"]
    assert [one["code"] for one in denied["violations"]] == ["uk.art35_impact_assessment"]


def test_the_commands_with_opa_alone_check_build_sign_and_serve(tmp_path: Path) -> None:
    tree = copy_policies(tmp_path)
    write_pair(tmp_path, "policy")
    (tmp_path / "facts.json").write_text(json.dumps(facts_in("eu")))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "opa").symlink_to(opa_path())
    environment = {
        **process_environment(),
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
    }
    *commands, serve = commands_of_the_guide()
    for block in commands:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert ran.returncode == 0, (block, ran.stdout, ran.stderr)
    assert contents(tree) == contents(POLICIES)
    # The gate takes what was built, and what was started answers as the gate's own OPA does.
    (tmp_path / "verified").mkdir()
    signed = bundles.SignedFile(tmp_path / "bundle.tar.gz", tmp_path / "policy.pub.pem")
    found = signed.read().make(opa_path(), tmp_path / "verified")
    assert found.revision == "2026-09-01"
    assert found.jurisdictions == trees.read(POLICIES).jurisdictions
    with started(shlex.split(serve.replace("\\\n", " ")), tmp_path, environment) as ask:
        answer = ask(facts_in("eu"))
        open_to_others = [one for one in NOT_THE_DECISION if status(tmp_path, *one) != UNAUTHORIZED]
    assert answer == {**admitted("eu"), "revision": "2026-09-01"}
    assert open_to_others == []


def status(folder: Path, method: str, path: str) -> int:
    """The status of one request to the OPA of the guide."""
    connection = UnixConnection(folder / "opa.sock")
    body = {"PUT": b"package evil", "PATCH": b"[]", "POST": b'{"input": {}}'}.get(method)
    connection.request(method, path, body)
    found = connection.getresponse().status
    connection.close()
    return found


def commands_of_the_guide() -> list[str]:
    """The blocks of shell commands that use OPA alone, in their order."""
    found = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    blocks = [block for block in found if re.search(r"^opa ", block, re.MULTILINE)]
    assert [block.split()[:2] for block in blocks] == [
        ["opa", "fmt"],
        ["opa", "eval"],
        ["cp", "-r"],
        ["opa", "run"],
    ]
    return blocks


def contents(tree: Path) -> dict[Path, bytes]:
    """Every file of a tree."""
    return {path.relative_to(tree): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def listens(path: Path) -> bool:
    """Whether somebody does; the file is there a moment before."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


@contextmanager
def started(
    words: list[str], folder: Path, environment: dict[str, str]
) -> Iterator[Callable[[object], Any]]:
    """Run a server in ``folder`` and yield a way to ask it."""
    # As in a shell: the name is looked up on the path that is given.
    program = shutil.which(words[0], path=environment["PATH"])
    assert program is not None
    with subprocess.Popen(
        [program, *words[1:]], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    ) as server:

        def ask(facts: object) -> Any:
            connection = UnixConnection(folder / "opa.sock")
            body = json.dumps({"input": facts})
            connection.request("POST", DECISION, body, {"Content-Type": "application/json"})
            reply = connection.getresponse().read()
            connection.close()
            return json.loads(reply)["result"]

        try:
            end = time.monotonic() + 60
            while not listens(folder / "opa.sock"):
                assert server.poll() is None, server.communicate()
                assert time.monotonic() < end
                time.sleep(0.02)
            yield ask
        finally:
            server.terminate()


def test_an_id_with_a_hyphen_is_a_sector_only_where_a_jurisdiction_names_it(
    tmp_path: Path,
) -> None:
    tree = copy_policies(tmp_path)
    package = tree / "jurisdiction" / "uk-finance"
    package.mkdir()
    (package / "rules.rego").write_text(
        'package jurisdiction["uk-finance"]\n\nid := "uk-finance"\n\n'
        'deny contains "never" if input.environment.sector != "finance"\n'
    )
    sectors = json.loads((tree / "params" / "uk" / "data.json").read_text())["sectors"]
    change_data(tree, "uk", sectors={**sectors, "finance": "uk-finance"})
    with OpaServer(build_bundle(tmp_path, tree=tree), tmp_path) as extended:
        as_sector = extended.decide(facts_in("uk"))
        alone = extended.decide(facts_in("uk-finance"))
    assert as_sector["jurisdictions"] == {"uk": SATISFIED, "uk-finance": SATISFIED}
    assert [one["code"] for one in alone["violations"]] == ["sector_unknown"]
