from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from swarmgate.doctor.case import Case
from swarmgate.doctor.manual import markdown
from swarmgate.plugins import load

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "troubleshooting.md"
FIRST_PARTY = "swarmgate-"


def test_the_page_is_current(make_case: Callable[..., Case]) -> None:
    """docs/troubleshooting.md has what the core and the first-party plugins can find today."""
    catalogue = load()
    brought = [(each, plugin.distribution) for each, plugin in catalogue.checks()]
    ours = [(each, name) for each, name in brought if name.startswith(FIRST_PARTY)]
    assert len(ours) >= 3
    written = markdown(make_case(), ours)
    assert PAGE.read_text(encoding="utf-8") == written, "run `gateway doctor --manual > docs/troubleshooting.md`"


def test_each_code_has_one_meaning(make_case: Callable[..., Case]) -> None:
    """No two ailments share a code, and each says what to do."""
    row = re.compile(r"^\| `([a-z0-9_]+\.[a-z0-9_]+)` \| (.+) \| (.+) \|$", re.MULTILINE)
    codes = row.findall(PAGE.read_text(encoding="utf-8"))
    assert len(codes) > 15
    assert len({code for code, _, _ in codes}) == len(codes)
    assert all(remedy.rstrip().endswith((".", "?")) for _, _, remedy in codes)
