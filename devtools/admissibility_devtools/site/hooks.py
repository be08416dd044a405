"""Add the repository's own pages to the MkDocs site, and point links between them there.

README, changelog and the reference Envoy configurations live outside ``docs/``, where a reader of
the repository looks for them. The site shows the same files; a link is written once, relative to
the file in the repository, and works in both places.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[3]
DOCS = "docs/"
RENAMED = {"README.md": "index.md"}
"""Files of the repository that have another name on the site."""
LINTER = "packages/envoy-extauthz-lint/README.md"
EXTRA = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "tests/README.md", LINTER)
EXTRA_FOLDERS = ("envoy",)
WIDE = {
    "operations.md",
    "compatibility.md",
    "threats.md",
    "reference/configuration.md",
    "reference/trust.md",
}
"""Pages that are one wide table: they use the room of the table of contents."""
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_CELL = re.compile(r"<td.*?</td>", re.DOTALL)
_CODE = re.compile(r"<code>([^<]*)</code>")
_JOINT = re.compile(r"([/.\]])(?=[\w{\[(])")
_WORD = re.compile(r"(::|[/.\]_])(?=[\w{\[(])")
_LONG = 36
"""Characters from which a name breaks between its words too."""
_HEADING = re.compile(r"^# (.+)$", re.MULTILINE)
_FENCE = re.compile(r"^ *(```|~~~)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace each folder in the navigation (``adr/``) by the pages in it, index first."""
    config.nav = [_expanded(entry) for entry in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and files that live outside ``docs/``."""
    for path in _extra():
        name = path.relative_to(ROOT).as_posix()
        uri = RENAMED.get(name, name)
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: object) -> str:
    """Rewrite links between files of the repository into links between pages of the site."""
    page.meta.setdefault("title", _title(markdown, page))
    if page.file.src_uri in WIDE:
        page.meta["hide"] = ["toc"]
    here = _repository_name(page.file)
    lines: list[str] = []
    fenced = False
    for line in markdown.split("\n"):
        if _FENCE.match(line):
            fenced = not fenced
        rewritten = line if fenced else _LINK.sub(lambda m: _link(m, here, page, files), line)
        lines.append(rewritten)
    return "\n".join(lines)


def _title(markdown: str, page: Page) -> str:
    """Return the page's heading as plain text: a notice before it hides it from MkDocs."""
    heading = _HEADING.search(markdown)
    return heading[1].replace("`", "") if heading else page.file.name


def on_page_content(html: str, **_: object) -> str:
    """Let names in tables break after ``/`` and ``.``, long ones after each part as well."""
    return _CELL.sub(lambda cell: _CODE.sub(_breaking, cell[0]), html)


def _breaking(code: re.Match[str]) -> str:
    joint = _JOINT if len(code[1]) <= _LONG else _WORD
    return "<code>" + joint.sub(r"\1<wbr>", code[1]) + "</code>"


def _extra() -> Iterator[Path]:
    for name in EXTRA:
        yield ROOT / name
    for folder in EXTRA_FOLDERS:
        yield from sorted(path for path in (ROOT / folder).iterdir() if path.suffix != ".py")


def _repository_name(file: File) -> str:
    """Return the path of a site's file in the repository."""
    for name, uri in RENAMED.items():
        if file.src_uri == uri:
            return name
    return file.src_uri if file.generated_by else DOCS + file.src_uri


def _link(match: re.Match[str], here: str, page: Page, files: Files) -> str:
    """Return one link as it is on the site.

    A target of the repository that has no page (source code, a folder) becomes plain text: the site
    knows no address of the repository. A target that does not exist stays as it is, and MkDocs
    reports it.

    Raises:
        PluginError: A link leaves the repository's folder.
    """
    target, hash_, anchor = match["target"].partition("#")
    if not target or "://" in target or target.startswith("mailto:"):
        return match[0]
    name = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
    if name.startswith("../"):
        raise PluginError(f"{here}: the link {match['target']} leaves the repository")
    uri = RENAMED.get(name, name.removeprefix(DOCS))
    if files.get_file_from_path(uri) is None:
        return match["text"] if (ROOT / name).exists() else match[0]
    relative = posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or ".")
    return f"{match['image']}[{match['text']}]({relative}{hash_}{anchor})"


def _expanded(entry: Any) -> Any:  # noqa: ANN401 - the navigation is YAML of any shape
    if not isinstance(entry, dict):
        return entry
    return {title: _section(value) for title, value in entry.items()}


def _section(value: Any) -> Any:  # noqa: ANN401 - the navigation is YAML of any shape
    if isinstance(value, list):
        return [_expanded(entry) for entry in value]
    if isinstance(value, str) and value.endswith("/"):
        pages = sorted(path.name for path in (ROOT / DOCS / value).glob("*.md"))
        pages.sort(key=lambda name: name != "README.md")
        return [value + name for name in pages]
    return value
