"""Turns rows into a table for people and into JSON for programs.  Pure but for reading facts of the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from sidebyside.contenders import Settings
from sidebyside.figures import Row, Spread, ratios, reached, spread


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one run of the benchmarks."""

    when: str
    machine: dict[str, str]
    settings: Settings
    rounds: int
    seconds: float
    rows: list[Row]


def machine() -> dict[str, str]:
    """Return the facts of this machine that figures depend on."""
    processor = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    facts = {
        "processor": processor,
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
    }
    for package in ("llama-cpp-python", "uvicorn"):
        with suppress(PackageNotFoundError):  # routers are measured without an engine
            facts[package] = version(package)
    return facts


def table(rows: Sequence[Row]) -> str:
    """Return *rows* as a Markdown table."""
    lines = [
        "| | measured | ours, median (min to max) | theirs | ours/theirs (min to max) | aim | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        compared = ratios(row)
        what = f"{row.what}, {row.unit}" + (f" ({row.note})" if row.note else "")
        cells = [
            row.room,
            what,
            _spread(spread(row.ours)),
            _spread(spread(row.theirs)) if row.theirs else "",
            f"**{compared.middle:.2f}** ({compared.least:.2f} to {compared.greatest:.2f})" if compared else "",
            _aim(row),
            {True: "reached", False: "**missed**", None: ""}[reached(row)],
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def keep(found: msgspec.Struct, path: Path) -> None:
    """Write *found*, the figures of a run, to *path* as JSON, and make its folder if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))


def document(run: Run, text: str, part: str = "results") -> str:
    """Return *text*, a Markdown document, with what stands between the markers of *part* replaced by *run*.

    Raises:
        ValueError: the document has no such markers.

    """
    facts = ", ".join(f"{key} {value}" for key, value in run.machine.items())
    told = ", ".join(f"{key} {value}" for key, value in msgspec.to_builtins(run.settings).items() if key != "model")
    about = f"{run.when}, {run.rounds} rounds, {run.seconds / 60:.0f} minutes. Machine: {facts}. Settings: {told}."
    return between(text, part, f"{about}\n\n{table(run.rows)}")


def between(text: str, part: str, told: str) -> str:
    """Return *text*, a Markdown document, with *told* between the markers of *part*.

    Raises:
        ValueError: the document has no such markers.

    """
    opens, closes = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    head, begin, rest = text.partition(opens)
    _, end, tail = rest.partition(closes)
    if not begin or not end:
        raise ValueError(f"the document needs a line {opens} and a line {closes}")
    return f"{head}{begin}\n\n{told}\n\n{end}{tail}"


def _spread(values: Spread) -> str:
    return f"{_figure(values.middle)} ({_figure(values.least)} to {_figure(values.greatest)})"


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits are enough


def _aim(row: Row) -> str:
    if row.aim is None:
        return ""
    sign = "≥" if row.better == "higher" else "≤"
    return f"{sign} {row.aim:g}" + ("" if row.theirs else f" {row.unit}")
