"""Writes down everything that the doctor can find, for the page about troubleshooting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from swarmgate.checks import Ailment, Check
from swarmgate.doctor.case import Case
from swarmgate.doctor.rounds import CHECK_FAILED, own_checks

_HEAD = """\
# Troubleshooting

<!-- Written by `gateway doctor --manual`; change the code, not this file. -->

`gateway doctor` looks at everything that has to be right (configuration, plugins, engine, ports, multicast, libp2p,
token, clocks, every known node) and says of each fault what to do. It changes nothing. Its status is 1 if something is
wrong; `--json` is for programs. Where a gateway runs at the configured address, it is asked what it knows; where none
does, the doctor looks for the nodes itself, for a few seconds.

What it can find, by its code:
"""


def markdown(case: Case, brought: Iterable[tuple[Check, str]]) -> str:
    """Return the page of all ailments: the core's, and those of the checks that plugins have *brought*."""
    lines = [_HEAD, "## Any check", "", *_rows((CHECK_FAILED,))]
    for check, origin in [*((check, "") for check in own_checks(case)), *brought]:
        heading = check.summary[:1].upper() + check.summary[1:]
        lines += ["", f"## {heading}", ""]
        lines += [f"From `{origin}`.", ""] if origin else []
        lines += _rows(check.ailments)
    return "\n".join(lines) + "\n"


def _rows(ailments: Iterable[Ailment]) -> Iterator[str]:
    yield "| code | what it means | what to do |"
    yield "|---|---|---|"
    for each in ailments:
        yield f"| `{each.code}` | {_cell(each.meaning)} | {_cell(each.remedy)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
