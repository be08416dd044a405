"""``admit relay`` runs until a signal, and states what is wrong with its configuration."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from pathlib import Path

from sidecar.relay import config as relay_config
from tests.process.cli.admit import PROGRAM, admit
from tests.support.guides import ROOT
from tests.support.relay import relay_site
from tests.unit.trust.repository import Repository


def test_it_serves_until_a_signal_and_ends_by_itself(tmp_path: Path) -> None:
    repo = Repository(tmp_path / "acme", "acme")
    repo.publish()
    site = relay_site(tmp_path / "relay", repositories={"acme": str(repo.folder)})
    site.load()
    admit("relay", "--config", site.path, "--check")
    child = subprocess.Popen(
        [str(PROGRAM), "relay", "--config", str(site.path)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    try:
        assert child.stderr is not None
        line = next(each for each in child.stderr if "admin on http://" in each)
        address = line.partition("admin on ")[2].split()[0]
        with urllib.request.urlopen(f"{address}/healthz", timeout=60) as answer:
            sources = json.loads(answer.read())["sources"]
        assert [(each["name"], each["kind"]) for each in sources] == [("acme", "repository")]
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0
    finally:
        child.kill()
        child.wait()
        if child.stderr is not None:
            child.stderr.close()


def test_a_certificate_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    site = relay_site(tmp_path / "relay", repositories={"acme": str(tmp_path / "acme")})
    site.value["serve"]["key"] = "nowhere.pem"
    site.load()
    refused = admit("relay", "--config", site.path, code=2)
    assert refused.stderr.decode().endswith("serve: No such file or directory\n")


def test_the_example_is_a_configuration() -> None:
    loaded = relay_config.load(ROOT / "deploy" / "relay" / "relay.yaml")
    assert [name for name, _ in loaded.repositories] == ["eu-office", "acme"]
