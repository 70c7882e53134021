from __future__ import annotations

import re
from pathlib import Path

#: Spelt in halves, so that this file does not hold what it forbids.
HOSTS = [
    f"{name}.{end}" for name, end in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("anaconda", "org"))
]


def test_no_file_names_a_registry(ours: list[Path]) -> None:
    """No committed file holds the host of a package registry; where packages come from is the machine's business."""
    pattern = re.compile("|".join(map(re.escape, HOSTS)), re.IGNORECASE)
    assert [path for path in ours if pattern.search(path.read_text(encoding="utf-8", errors="ignore"))] == []


def test_no_file_names_this_machine(ours: list[Path], root: Path) -> None:
    """No committed file holds the folder it happens to stand in, nor the user's home."""
    places = [f"{place}/" for place in (root, root.parent, Path.home()) if len(place.parts) > 2 or place == Path.home()]
    places = [place for place in places if place != "//"]
    for path in ours:
        text = path.read_text(encoding="utf-8", errors="ignore")
        assert [place for place in places if place in text] == [], path
