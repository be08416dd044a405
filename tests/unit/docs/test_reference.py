"""The reference pages are those that the code generates, and leave nothing out."""

from __future__ import annotations

from pathlib import Path

import pytest

from admissibility_devtools.site import commands, compatibility, settings
from admissibility_devtools.site.reference import PAGES, generated
from sidecar.binder.config_file import BinderFile
from sidecar.relay.config import RelayFile
from sidecar.service.config import SidecarConfig
from sidecar.service.process_status import PROCESSES, ROLE
from sidecar.trust.config_file import TrustFile
from tests.unit.observe.gauges import metrics

ROOT = next(path for path in Path(__file__).parents if (path / "mkdocs.yml").exists())


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_what_the_code_generates(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == generated(name), "run `make reference`"


@pytest.mark.parametrize("model", [SidecarConfig, TrustFile, BinderFile, RelayFile])
def test_every_key_of_a_configuration_file_is_described(
    model: type[SidecarConfig | TrustFile | BinderFile | RelayFile],
) -> None:
    assert settings.undescribed(model) == []


def test_every_metric_of_a_gate_is_in_the_reference() -> None:
    text = metrics().render().decode()
    families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE adm")}
    page = generated("docs/reference/metrics.md")
    assert {name for name in families if f"`{name}" not in page} == set()
    assert {name for name in PROCESSES if f"`{name}{{{ROLE}}}`" not in page} == set()
    assert len(families) + len(PROCESSES) == page.partition("\n## ")[0].count("\n| `")
    programs = {"binder_jobs", "binder_read_failing", "relay_waiting"}
    assert {name for name in programs if f"`admissibility_{name}" not in page} == set()


def test_every_command_and_option_says_what_it_is_for() -> None:
    silent = [
        (context.command_path, parameter.name)
        for context in commands.every()
        for parameter in context.command.params
        if not parameter.hidden and not parameter.help
    ]
    assert silent == []
    assert [c.command_path for c in commands.every() if not c.command.help] == []


def test_the_newest_column_of_the_compatibility_table_is_this_code() -> None:
    page = generated("docs/compatibility.md")
    assert f"| {compatibility.CURRENT} |" in page.replace("|  |", "|", 1)
    for name, value in compatibility.current().items():
        assert value, name
        assert f"| {name} | {value} |" in page or f"| {name} | as in " in page
