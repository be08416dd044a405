"""The documentation site builds strictly, holds what it should, and fetches nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = next(path for path in Path(__file__).parents if (path / "mkdocs.yml").exists())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as ``make docs`` builds it: a broken link or a page without navigation fails."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_of_the_repository_is_on_the_site(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    named = {page.removesuffix("README.md") + "index.html" for page in pages if "README" in page}
    named |= {page.removesuffix(".md") + ".html" for page in pages if "README" not in page}
    named |= {"index.html", "CHANGELOG.html", "CONTRIBUTING.html", "SECURITY.html"}
    named |= {"envoy/index.html", "packages/envoy-extauthz-lint/index.html", "tests/index.html"}
    found = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert found - {"404.html"} == named


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    fetched = re.compile(r'<(?:script|img|link|iframe)[^>]*\s(?:src|href)="((?:https?:)?//[^"]*)"')
    wrong = {
        (path.name, address)
        for path in site.rglob("*.html")
        for address in fetched.findall(path.read_text("utf-8"))
    }
    assert wrong == set()
    styles = [path.read_text("utf-8") for path in site.rglob("*.css")]
    assert not any(re.search(r"(?:url\(|@import )[\"']?(?:https?:)?//", text) for text in styles)


def test_search_works_from_the_file_system(site: Path) -> None:
    index = (site / "search" / "search_index.js").read_text("utf-8")
    assert "adaptation-manifest" in index
