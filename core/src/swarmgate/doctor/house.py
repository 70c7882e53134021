"""The house itself: plugins, the state folder, and this node's place in its swarm."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio.to_thread

from swarmgate.checks import Ailment, Check, Finding, Patient
from swarmgate.config.choices import DEFAULT
from swarmgate.doctor.case import Case
from swarmgate.errors import ConfigError
from swarmgate.joining import ticket_of
from swarmgate.nouns import NodeId
from swarmgate.swarm.facts import PassFacts, facts_of
from swarmgate.swarm.kept import TOKEN_FILE

_DAY = 86400.0
#: So long before its end an invite is worth a word, in days.
_SOON_DAYS = 7

FAULTY_CONFIG = Ailment(
    code="config.faulty",
    meaning="The configuration cannot be used: an option that there is not, a value that does not fit, a file that is"
    " not there, a token that was mistyped.",
    remedy="The finding has the place and what was expected there; `gateway config check` says the same.",
)
BROKEN_PLUGIN = Ailment(
    code="plugins.broken",
    meaning="A plugin is installed that cannot be used: it fails at import, or what it brings is not what a hook asks.",
    remedy="`gateway plugins list` shows the whole reason; upgrade or uninstall the distribution named there.",
)
STATE_UNUSABLE = Ailment(
    code="state.unusable",
    meaning="The folder for what survives restarts (key, token, caches) cannot be read and written by this user.",
    remedy="Give the folder to the user who runs the gateway, or set `state_dir` to another.",
)
STATE_OPEN = Ailment(
    code="state.open",
    meaning="Other users of this machine can look into the state folder, which holds the node's key and the token.",
    remedy="`chmod 700` the folder.  If they may have looked already: `gateway token rotate`.",
)
TOKEN_MISSING = Ailment(
    code="token.missing",
    meaning="The configuration says that this machine is in a swarm, and there is no token.",
    remedy="`gateway run --p2p` makes one at its first start and so begins a swarm; to join one, give its token with"
    " `--token-file`, or an invite.",
)
TOKEN_UNUSABLE = Ailment(
    code="token.unusable",
    meaning="There is a token or an invite, and it lets this machine in no more, or never did: revoked, ended,"
    " damaged.",
    remedy="On a machine that holds the token: `gateway token show`, or `gateway token invite` for this one.",
)
TOKEN_ENDS = Ailment(
    code="token.ends",
    meaning=f"This machine is in its swarm by an invite that ends within {_SOON_DAYS} days.",
    remedy="On a machine that holds the token: `gateway token invite`, and give the new one to this machine in time.",
)


def checks(case: Case) -> list[Check]:
    """Return the checks of the house."""
    return [
        Check("config", "the configuration", (FAULTY_CONFIG,), partial(_config, case)),
        Check("plugins", "the installed plugins", (BROKEN_PLUGIN,), partial(_plugins, case)),
        Check("state", "the state folder", (STATE_UNUSABLE, STATE_OPEN), partial(_state, case)),
        Check(
            "token",
            "this node's place in a swarm",
            (TOKEN_MISSING, TOKEN_UNUSABLE, TOKEN_ENDS),
            partial(_token, case),
        ),
    ]


async def _config(case: Case, _: Patient) -> Sequence[Finding]:
    places = {origin.partition(":")[0] for choice in case.blueprint.choices for origin in (choice.origin,)}
    places |= {origin.partition(":")[0] for origin in case.blueprint.origins.values()}
    named = ", ".join(sorted(places - {DEFAULT}))
    return [Finding(what=f"can be used; what is not default comes from {named}" if named else "is the default")]


async def _plugins(case: Case, _: Patient) -> Sequence[Finding]:
    broken = [BROKEN_PLUGIN.found(str(why), about=name) for name, why in sorted(case.catalogue.broken.items())]
    return [Finding(what=f"{len(case.catalogue.plugins)} plugins work"), *broken]


async def _state(case: Case, _: Patient) -> Sequence[Finding]:
    return await anyio.to_thread.run_sync(folder_findings, case.blueprint.settings.state_path())


def folder_findings(folder: Path) -> list[Finding]:
    """Return what is to be said of the state folder, which need not be there yet.  Reads files."""
    about = str(folder)
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        nearest = next(each for each in folder.absolute().parents if each.exists())
        if os.access(nearest, os.W_OK | os.X_OK):
            return [Finding(what="is not there yet; the first start makes it", about=about)]
        return [STATE_UNUSABLE.found(f"is not there, and this user may not write in {nearest}", about=about)]
    except OSError as error:
        return [STATE_UNUSABLE.found(f"cannot be looked at: {error.strerror or error}", about=about)]
    if not stat.S_ISDIR(mode) or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return [STATE_UNUSABLE.found("is no folder that this user may read and write", about=about)]
    if mode & 0o077:
        return [STATE_OPEN.found(f"its mode is {stat.S_IMODE(mode):o}", about=about)]
    return [Finding(what="can be used, by this user alone", about=about)]


async def _token(case: Case, patient: Patient) -> Sequence[Finding]:
    return [await anyio.to_thread.run_sync(_place, case, patient)]


def _place(case: Case, patient: Patient) -> Finding:
    settings = case.blueprint.settings
    if not settings.p2p and case.running is not None and (swarm := case.running.swarm.gateway.swarm):
        what = "the gateway that runs is a member, by a flag or a variable; this configuration says nothing of a swarm"
        return Finding(what=what, about=f"swarm {swarm}")
    if not settings.p2p:
        return Finding(what="this machine is in no swarm; others are known by their addresses alone")
    try:
        ticket = ticket_of(settings)
        facts = None if ticket is None else facts_of(ticket)
    except ConfigError as error:
        missing = not settings.token and not (settings.state_path() / TOKEN_FILE).exists()
        return TOKEN_MISSING.noted("there is no token yet") if missing else TOKEN_UNUSABLE.found(str(error))
    if facts is None or patient.context.membership is None:
        return TOKEN_UNUSABLE.found("this machine is not let into its swarm")
    return place_finding(facts, patient.context.node.id, now=datetime.now(tz=UTC).timestamp())


def place_finding(facts: PassFacts, node: NodeId, *, now: float) -> Finding:
    """Return what is to be said of the place that a pass with these *facts* gives to *node*; *now* in Unix seconds."""
    about = f"swarm {facts.swarm}"
    if facts.until is None:
        return Finding(what=f"a member by the token, as {node}", about=about)
    end, left = datetime.fromtimestamp(facts.until, UTC), facts.until - now
    what = f"a {facts.role} by an invite until {end:%Y-%m-%d %H:%M} UTC"
    if left < 0:
        return TOKEN_UNUSABLE.found(f"{what}, which is over", about=about)
    return TOKEN_ENDS.noted(what, about=about) if left < _SOON_DAYS * _DAY else Finding(what=what, about=about)
