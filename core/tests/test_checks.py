from __future__ import annotations

from swarmgate.checks import Ailment, Finding

SICK = Ailment(code="a.b", meaning="It is sick.", remedy="Cure it.")


def test_a_finding_carries_its_ailment() -> None:
    """Code and remedy come along, the remedy for this case before the general one."""
    assert SICK.found("is sick", about="x") == Finding(
        what="is sick", about="x", level="fault", code="a.b", remedy="Cure it."
    )
    assert SICK.found("is sick", remedy="Wait.").remedy == "Wait."
    assert SICK.noted("is sick").level == "note"
    assert (Finding(what="is well").level, Finding(what="is well").code) == ("fine", "")
