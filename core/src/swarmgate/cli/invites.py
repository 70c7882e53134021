"""``gateway token invite``, ``invites`` and ``revoke``: single machines, let in and taken out."""

from __future__ import annotations

import secrets
from typing import get_args

import click
import msgspec

from swarmgate.cli.output import expected_errors, print_json, print_table
from swarmgate.cli.passes import (
    chosen,
    day,
    make_folder,
    now_by_calendar,
    owned_token,
    state_option,
    ticket_in_use,
    told,
)
from swarmgate.cli.reading import config_option, json_option
from swarmgate.cli.verbs import examples
from swarmgate.config.settings import Settings
from swarmgate.errors import ConfigError, WireError
from swarmgate.nouns import NodeId
from swarmgate.swarm import invited, kept, revoked
from swarmgate.swarm.certificates import Role
from swarmgate.swarm.facts import facts_of
from swarmgate.swarm.keys import public_key
from swarmgate.swarm.membership import invite as invite_by
from swarmgate.swarm.membership import join
from swarmgate.swarm.peerids import peer_id, public_key_of

_ROLES = tuple(role for role in get_args(Role) if role != "owner")
_MOST_DAYS = 36500
_SEED_BYTES = 32


@click.command(
    epilog=examples("gateway token invite --role worker > shed.invite", "gateway token invite --role node --days 365")
)
@click.option("--role", type=click.Choice(_ROLES), default="worker", show_default=True, help="What it may do.")
@click.option(
    "--days",
    type=click.FloatRange(0, _MOST_DAYS, min_open=True),
    default=30.0,
    show_default=True,
    help="How long it is good.",
)
@click.option("--name", default="", metavar="NAME", help="What you call that machine, so that NAME can be revoked.")
@state_option
@config_option
def invite(file: str | None, state_dir: str | None, *, role: Role, days: float, name: str) -> None:
    """Print an invite: a pass for one machine, which holds it in place of the token.

    A worker lends compute; a node lends and serves; a viewer only asks.  It cannot let others in, ends by itself, and
    can be revoked.  Use each for one machine: two that share one are taken for the same.
    """
    with expected_errors():
        settings, _ = chosen(file, state_dir)
        owned = owned_token(settings, "invite others")
        if name.startswith("12D3KooW"):
            raise ConfigError(f"{name!r} looks like a peer id; take another name")
        key, now = secrets.token_bytes(_SEED_BYTES), now_by_calendar()
        made = invite_by(owned, role, days=days, key=key, now=now)
        facts = facts_of(made)
        make_folder(settings)
        invited.add(
            settings.state_path(),
            invited.Invited(peer=peer_id(public_key(key)), role=role, until=facts.until or now, name=name),
        )
    click.echo(made.text)
    click.echo(told(facts, now=now), err=True)


@click.command(epilog=examples("gateway token invites"))
@json_option
@state_option
@config_option
def invites(file: str | None, state_dir: str | None, *, as_json: bool) -> None:
    """List the invites made on this machine, with what became of them; the invites themselves are not kept."""
    with expected_errors():
        settings, _ = chosen(file, state_dir)
        folder = settings.state_path()
        made = invited.load(folder)
        out = _revoked(settings) if made else frozenset[NodeId]()
    now = now_by_calendar()
    states = ["revoked" if each.peer in out else "ended" if each.until < now else "good" for each in made]
    if as_json:
        facts = [{**msgspec.structs.asdict(each), "state": state} for each, state in zip(made, states, strict=True)]
        print_json(facts)
    elif made:
        rows = [
            (each.name or "-", each.role, state, day(each.until), each.peer)
            for each, state in zip(made, states, strict=True)
        ]
        print_table([("name", "role", "state", "until", "peer"), *rows])
    else:
        click.echo("nobody was invited here")


@click.command(epilog=examples("gateway token revoke shed", "gateway token revoke 12D3KooW..."))
@click.argument("peer")
@json_option
@state_option
@config_option
def revoke(peer: str, file: str | None, state_dir: str | None, *, as_json: bool) -> None:
    """Take PEER out of the swarm: its peer id, or the name it was invited by.

    That is kept, signed, in the state folder.  A gateway that runs here acts by it at once and tells the swarm; else it
    does so from its next start on.  A machine that holds the token itself can come back under another id: then
    `gateway token rotate` is what helps.
    """
    with expected_errors():
        settings, _ = chosen(file, state_dir)
        owned = owned_token(settings, "revoke anybody")
        meant = _peer(settings, peer)
        make_folder(settings)
        folder = settings.state_path()
        membership = join(owned, kept.node_key(folder))
        if meant == membership.id:
            raise ConfigError("this is the machine itself; to leave the swarm, run it without the token")
        revoked.load(folder, membership)
        entry = next(
            (each for each in membership.revocations.entries if revoked.revoked_by(membership, each) == meant), b""
        )
        new = not entry
        entry = entry or revoked.revoke(membership, meant)
        revoked.add(folder, membership, entry)
        heard, outcome = _tell_running(settings, entry)
        was_invited = any(each.peer == meant for each in invited.load(folder))
    if as_json:
        print_json({"revoked": meant, "new": new, "told": heard, "outcome": outcome, "invited": was_invited})
    else:
        click.echo(f"{meant} is revoked{'' if new else ' already'}; {outcome}")
        if not was_invited:
            click.echo(
                "it was not invited from here: if it holds the token itself it can come back under another id, which"
                " only `gateway token rotate` ends"
            )


def _peer(settings: Settings, said: str) -> NodeId:
    """Return the peer that *said* is or names."""
    if said.startswith("12D3KooW"):
        try:
            return peer_id(public_key_of(said))
        except WireError as error:
            raise ConfigError(str(error)) from None
    known = {each.name: each.peer for each in invited.load(settings.state_path()) if each.name}
    if said in known:
        return known[said]
    raise ConfigError(
        f"nobody was invited here as {said!r}; give the peer id, which begins with 12D3KooW"
        f" (names: {', '.join(known) or 'none'})"
    )


def _revoked(settings: Settings) -> frozenset[NodeId]:
    folder = settings.state_path()
    membership = join(ticket_in_use(settings), kept.node_key(folder))
    revoked.load(folder, membership)
    return membership.revocations.peers


def _tell_running(settings: Settings, entry: bytes) -> tuple[bool, str]:
    """Have the running gateway act by *entry*; return whether it does, and what became of it in words."""
    from swarmgate.cli.running import ask, reason_of
    from swarmgate.http.revoking import Revoked

    said = ask(settings, "/v1/swarm/revoke", {"entry": entry})
    later = "this counts from its next start on"
    if not said.status:
        return False, f"no gateway answers at {said.url}, and {later}"
    try:
        msgspec.json.decode(said.body, type=Revoked)
    except (msgspec.MsgspecError, ValueError):
        return False, f"the gateway at {said.url} was not told ({reason_of(said)}), and {later}"
    return True, f"the gateway at {said.url} acts by it from now on and tells the swarm"
