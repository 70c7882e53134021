"""``gateway token``: who may be in the swarm of this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from swarmgate.cli.output import expected_errors, print_json
from swarmgate.cli.passes import chosen, now_by_calendar, owned_token, state_option, ticket_in_use, told
from swarmgate.cli.reading import config_option, json_option
from swarmgate.cli.verbs import LazyGroup, Verb, examples
from swarmgate.errors import ConfigError, WireError
from swarmgate.swarm import invited, kept, revoked
from swarmgate.swarm.facts import facts_of
from swarmgate.swarm.peerids import public_key_of
from swarmgate.swarm.token import Invite, Token, read_pass

_VERBS = {
    "new": Verb(__name__, "new", "Make a token, and with it a swarm."),
    "keep": Verb(__name__, "keep_verb", "Keep a token or invite of others."),
    "show": Verb(__name__, "show", "Print the token of this machine's swarm."),
    "read": Verb(__name__, "read_verb", "Say what a token or invite is, without printing it."),
    "invite": Verb("swarmgate.cli.invites", "invite", "Print an invite for one machine."),
    "invites": Verb("swarmgate.cli.invites", "invites", "List the invites made here."),
    "revoke": Verb("swarmgate.cli.invites", "revoke", "Take one machine out of the swarm."),
    "rotate": Verb(__name__, "rotate", "Make a new token in place of the old one."),
}


def _bootstraps(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Read multiaddresses of members."""
    for value in values:
        try:
            public_key_of(value.rpartition("/p2p/")[2] if value.startswith("/") else "")
        except WireError:
            example = "/ip4/203.0.113.7/tcp/4001/p2p/12D3KooW..."
            raise click.BadParameter(
                f"{value!r} is no address of a member; expected something like {example}"
            ) from None
    return values


_bootstrap_option = click.option(
    "--bootstrap",
    metavar="MULTIADDR",
    multiple=True,
    callback=_bootstraps,
    help="A member that all find first, with its /p2p/ part; is put into the token; may be given several times.",
)


@click.group(cls=LazyGroup, verbs=_VERBS, epilog=examples("gateway token show", "gateway token invite --role worker"))
def token() -> None:
    """Make, show and take back what lets machines into the swarm.

    Whoever has the token may do everything in the swarm.  An invite lets in one machine, in one role, for a time.
    """


@click.command(epilog=examples("gateway token new"))
@click.option("--force", is_flag=True, help="Make one in place of the token kept here.")
@_bootstrap_option
@state_option
@config_option
def new(file: str | None, state_dir: str | None, *, force: bool, bootstrap: tuple[str, ...]) -> None:
    """Make a token, which begins a swarm, and keep it in the state folder.

    `gateway run --p2p` does so by itself at its first start.
    """
    with expected_errors():
        settings, given = chosen(file, state_dir)
        folder = settings.state_path()
        if not force and (folder / kept.TOKEN_FILE).exists():
            raise ConfigError(
                f"{folder / kept.TOKEN_FILE} is there already: `gateway token show` prints it, `gateway token rotate`"
                " makes a new one for the same machines, --force one for another swarm"
            )
        kept_at = _keep(folder, Token.make(bootstrap=bootstrap))
    click.echo(f"a new token is kept in {kept_at}: `gateway token show` prints it, `gateway token invite` invites")
    _note(given)


@click.command(
    epilog=examples(
        "gateway token keep shed.invite", "ssh desk gateway token show | gateway token keep", "gateway token keep"
    )
)
@click.argument("path", metavar="[FILE]", default="-", type=click.Path(allow_dash=True))
@click.option("--force", is_flag=True, help="Keep it in place of another one that is kept here.")
@state_option
@config_option
def keep_verb(path: str, file: str | None, state_dir: str | None, *, force: bool) -> None:
    """Keep the token or invite in FILE, else what comes on standard input, so that this machine is in that swarm.

    From then on `gateway run --p2p` and `gateway worker p2p-...` need not be given it.
    """
    with expected_errors():
        settings, given = chosen(file, state_dir)
        if path == "-" and sys.stdin.isatty():
            click.echo("paste the token or invite, then press Enter and Ctrl-D", err=True)
        ticket, folder = _from(path), settings.state_path()
        known = None if force else kept.kept_pass(folder)
        if known is None:
            kept_at = _keep(folder, ticket)
        elif known.text == ticket.text:
            kept_at = folder / kept.TOKEN_FILE  # with what was invited and revoked by it
        else:
            raise ConfigError(
                f"{folder / kept.TOKEN_FILE} holds another one: with --force this one is kept in its place, and whom it"
                " invited or revoked is forgotten"
            )
        said = told(facts_of(ticket), now=now_by_calendar())
    click.echo(f"kept in {kept_at}: {said}")
    _note(given)


@click.command(epilog=examples("gateway token show > swarm.token"))
@state_option
@config_option
def show(file: str | None, state_dir: str | None) -> None:
    """Print the token (or invite) by which this machine is in its swarm, and nothing else.

    Whoever reads it is in.
    """
    with expected_errors():
        settings, _ = chosen(file, state_dir)
        text = ticket_in_use(settings).text
    click.echo(text)


@click.command(epilog=examples("gateway token read", "gateway token read swarm.token --json"))
@click.argument("path", metavar="[FILE]", required=False, type=click.Path(allow_dash=True))
@json_option
@state_option
@config_option
def read_verb(path: str | None, file: str | None, state_dir: str | None, *, as_json: bool) -> None:
    """Say what the token or invite in FILE is ("-": on standard input), or else that of this machine.

    It is not printed itself: of an invite the machine's id, its role and end are told.
    """
    with expected_errors():
        ticket = ticket_in_use(chosen(file, state_dir)[0]) if path is None else _from(path)
        facts = facts_of(ticket)
    if as_json:
        print_json(facts)
    else:
        click.echo(told(facts, now=now_by_calendar()))


@click.command(epilog=examples("gateway token rotate"))
@_bootstrap_option
@state_option
@config_option
def rotate(file: str | None, state_dir: str | None, *, bootstrap: tuple[str, ...]) -> None:
    """Make a new token in place of the one kept here, so that nothing of the old one counts any more."""
    with expected_errors():
        settings, given = chosen(file, state_dir)
        if given:
            raise ConfigError(f"the token in use was given by {given}, and is not kept here; change it there")
        owned = owned_token(settings, "make a new token")
        kept_at = _keep(settings.state_path(), Token.make(bootstrap=bootstrap or owned.bootstrap))
    click.echo(f"a new token is kept in {kept_at}.  What follows from that:")
    click.echo("  what runs on this machine stays in the old swarm, and says so, until it is started anew")
    click.echo("  every other machine has to be given the new token (`gateway token show`), or a new invite")
    click.echo("  old invites are void, and with them all that was revoked")


def _from(path: str) -> Token | Invite:
    try:
        with click.open_file(path) as source:
            return read_pass(source.read(1 << 14))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} holds no text, and so no token") from None


def _note(given: str) -> None:
    """Say that the token kept is not the one in use, if one was *given*."""
    if given:
        click.echo(f"note: what counts is the token given by {given}", err=True)


def _keep(folder: Path, made: Token | Invite) -> Path:
    """Keep *made*; what was signed by the authority of an older one is void, and goes."""
    kept_at = kept.keep_pass(folder, made)
    for name in (revoked.FILE, invited.FILE):
        (folder / name).unlink(missing_ok=True)
    return kept_at
