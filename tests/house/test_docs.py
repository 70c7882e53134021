from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

_FENCED = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)", re.MULTILINE)


def pages(root: Path) -> list[Path]:
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]


def slugs(page: Path) -> set[str]:
    """Return the anchors that a page's headings have, as both GitHub and the site make them."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = _HEADING.findall(text)
    return set(re.findall(r'<a id="([^"]+)">', text)) | {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def test_no_link_leads_nowhere(root: Path) -> None:
    """Every link to a file of ours leads to one, and to a heading of it, if it names one."""
    followed = 0
    for page in pages(root):
        for link in _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = unquote(link).partition("#")
            target = page.parent / name if name else page
            assert target.exists(), f"{page}: {link}"
            assert not anchor or anchor in slugs(target), f"{page}: {link}"
            followed += 1
    assert followed > 50


def test_every_decision_is_listed(root: Path) -> None:
    """The list has each page's number and title."""
    folder = root / "docs" / "decisions"
    listed = (folder / "index.md").read_text(encoding="utf-8")
    for page in folder.glob("0*.md"):
        title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        assert f"- [{title}]({page.name})\n" in listed, "add it to docs/decisions/index.md"


def test_the_site_builds(root: Path, tmp_path: Path) -> None:
    """Nothing in it is amiss, every page of docs/ is in it, and none fetches anything from elsewhere."""
    mkdocs = Path(sys.executable).with_name("mkdocs")
    if not mkdocs.exists():
        pytest.skip("what makes the site is not installed: make docs")
    command = [mkdocs, "build", "--strict", "--site-dir", tmp_path]
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    made = {page.relative_to(tmp_path).with_suffix(".md") for page in tmp_path.rglob("*.html")}
    assert {page.relative_to(root / "docs") for page in (root / "docs").rglob("*.md")} <= made
    fetched = re.compile(
        r"<(?:script|img|iframe)[^>]*src=.?https?:|<link[^>]*rel=.?(?:stylesheet|preconnect)[^>]*https?:"
    )
    assert [page for page in tmp_path.rglob("*.html") if fetched.search(page.read_text(encoding="utf-8"))] == []
