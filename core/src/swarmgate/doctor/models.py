"""Whether the models can answer: of a gateway that runs by what it says, else by what is planned."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from swarmgate.checks import Ailment, Check, Finding, Patient
from swarmgate.doctor.case import Case, Running
from swarmgate.parts import BACKEND

NOT_READY = Ailment(
    code="models.not_ready",
    meaning="A model is served by the gateway that runs and cannot answer now: it is loading, waits for memory or"
    " workers, or has failed.",
    remedy="`gateway plan MODEL` shows what it waits for.  A permanent failure (a broken file) needs another file.",
)
NONE = Ailment(
    code="models.none",
    meaning="No model is served: the gateway has none of its own, and knows no node that has.",
    remedy="`gateway run --model FILE.gguf`; or name nodes with `--node URL`, or let a swarm's answer: `--federated`.",
)


def checks(case: Case) -> list[Check]:
    """Return the check of the models."""
    return [Check("models", "whether models can answer", (NOT_READY, NONE), partial(_models, case))]


async def _models(case: Case, _: Patient) -> Sequence[Finding]:
    if case.running is not None:
        return running_findings(case.running)
    chosen = case.blueprint.of(BACKEND)
    if not chosen and case.blueprint.peer is None:
        return [NONE.found("no backend is chosen, and no gateways of others are asked")]
    names = ", ".join(dict.fromkeys(choice.part.name for choice in chosen)) or "other gateways of the swarm"
    return [Finding(what=f"answers are to come from: {names}; `gateway plan` says where their models would go")]


def running_findings(running: Running) -> list[Finding]:
    """Return what is to be said of the models of a gateway that runs."""
    readiness = running.readiness
    if readiness is None:
        return [Finding(what="the gateway says nothing of its models", level="note")]
    findings: list[Finding] = []
    for name, check in readiness.checks.items():
        kind, _, model = name.partition(":")
        if kind == "models":
            findings.append(NONE.found(check.reason))
        elif check.ready and model:
            findings.append(Finding(what="ready", about=model))
        elif model:
            far = f", {check.progress:.0%} done" if check.progress is not None else ""
            findings.append(NOT_READY.found(f"{check.reason or 'not ready'}{far}", about=model))
    return findings
