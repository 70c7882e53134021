from __future__ import annotations

import pytest
from sidebyside.contenders import Settings
from sidebyside.figures import Row
from sidebyside.report import Run, document, table

LOSING = Row("stalls", "longest gap", "s", (2.0, 1.0, 4.0), (1.0, 1.0, 1.0), aim=0.5, note="why")
ALONE = Row("footprint", "memory", "MB", (99.6,), aim=120)


def test_a_losing_row_stays_in_and_says_so() -> None:
    """Every row is printed with its spread, its ratio and its verdict."""
    losing, alone = table([LOSING, ALONE]).splitlines()[2:]
    assert losing == (
        "| stalls | longest gap, s (why) | 2 (1 to 4) | 1 (1 to 1) | **2.00** (1.00 to 4.00) | ≤ 0.5 | **missed** |"
    )
    assert alone == "| footprint | memory, MB | 99.6 (99.6 to 99.6) |  |  | ≤ 120 MB | reached |"


def test_a_document_keeps_its_words_around_the_table() -> None:
    """Only what stands between the markers is replaced, and that as a whole."""
    run = Run(
        when="2026-01-02 03:04 UTC", machine={"cores": "2"}, settings=Settings(model="m.gguf"), rounds=3, seconds=90.0,
        rows=[ALONE],
    )  # fmt: skip
    opens, closes = "<!-- results: begin -->", "<!-- results: end -->"
    other = "<!-- split: begin -->\nkept\n<!-- split: end -->\n"
    once = document(run, f"# Method\n{opens}\nold\n{closes}\nafter\n{other}")
    assert "old" not in once
    assert once.startswith("# Method\n")
    assert once.endswith(f"{closes}\nafter\n{other}")
    assert "| footprint | memory" in once
    assert document(run, once) == once
    assert "kept" not in document(run, once, "split")


def test_a_document_without_markers_is_refused() -> None:
    """Nothing is written into a document that has no place for it."""
    run = Run(when="", machine={}, settings=Settings(model=""), rounds=1, seconds=1.0, rows=[])
    with pytest.raises(ValueError, match="the document needs a line"):
        document(run, "no markers")
