"""``gateway explain``: why a request went where it went, as the running gateway remembers it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import click

from swarmgate.cli.output import expected_errors, print_json, print_table
from swarmgate.cli.reading import config_option, json_option, read
from swarmgate.cli.running import asked
from swarmgate.cli.verbs import examples
from swarmgate.http.wire.requests import (
    ConsideredDocument,
    DecisionDocument,
    RequestDocument,
    RequestList,
    RequestSummary,
)

_COLUMNS = ("id", "at", "model", "status", "seconds", "attempts", "worker", "error")
_NOTHING = "-"


@click.command(
    epilog=examples(
        "gateway explain", "gateway explain req_4f0c2d1e9b8a7c6d5e4f3a2b", "gateway explain --json my-request"
    )
)
@click.argument("request_id", metavar="[REQUEST_ID]", required=False)
@config_option
@json_option
def explain(request_id: str | None, file: str | None, *, as_json: bool) -> None:
    """Show what became of a request, and why it went where it went.

    REQUEST_ID is what its answer has in the header X-Request-ID; without it the latest requests are listed.  The
    gateway that runs at the configured address is asked; it remembers the last kept_requests of them, and nothing of
    what was said.

    The status is 1 if no gateway runs there, or if it does not know the request.
    """
    with expected_errors():
        blueprint, _, _ = read(file, local=False)
    settings = blueprint.settings
    if request_id is None:
        listed = asked(settings, "/v1/requests", RequestList, able="explain requests")
        if as_json:
            print_json(listed)
        else:
            _print_list(listed)
        return
    account = asked(
        settings, f"/v1/requests/{quote(request_id, safe='/:@+=')}", RequestDocument, able="explain requests"
    )
    if as_json:
        print_json(account)
    else:
        _print_account(account)


def _print_list(listed: RequestList) -> None:
    if not listed.data:
        why = "yet" if listed.kept else "because kept_requests in [gateway] is 0"
        click.echo(f"no request is remembered {why}")
        return
    rows: list[tuple[str, ...]] = [_COLUMNS]
    for each in listed.data:
        seconds, model, worker, error = f"{each.seconds:.2f}", each.model, each.worker, each.error
        at = f"{each.at.astimezone():%H:%M:%S}"
        facts = (seconds, str(each.attempts), worker or _NOTHING, error or _NOTHING)
        rows.append((each.id, at, model or _NOTHING, _status(each), *facts))
    print_table(rows)


def _print_account(account: RequestDocument) -> None:
    model = f" of {account.model}" if account.model else ""
    click.echo(f"{account.id}: {account.route}{model}, {account.at.astimezone():%Y-%m-%d %H:%M:%S}")
    click.echo(f"{_status(account)} after {account.seconds:.2f} s, of which {account.queue_ms} ms in the queue")
    worker = account.worker or "nobody"
    click.echo(
        f"asked: {_times(account.attempts, 'attempt')}, last {worker}; resumed {_times(account.resumed, 'time')}"
    )
    if not isinstance(account.status, int):
        click.echo("tokens: not counted yet")
    else:
        cached = f" ({account.cached_tokens} held already)" if account.cached_tokens else ""
        click.echo(f"tokens: {account.prompt_tokens} read{cached}, {account.completion_tokens} written")
    if account.reason:
        click.echo(f"last failure: {account.reason}")
    if account.error:
        click.echo(f"told to the client: {account.error}")
    if account.decisions_left_out:
        click.echo(f"\n{_times(account.decisions_left_out, 'earlier decision')} not kept")
    several = any(each.answer for each in account.decisions)
    for number, decision in enumerate(account.decisions, start=(account.decisions_left_out or 0) + 1):
        _print_decision(decision, f"{number}. answer {decision.answer}," if several else f"{number}.")


def _print_decision(decision: DecisionDocument, heading: str) -> None:
    verdict = f"{decision.chosen}: {decision.reason}" if decision.chosen else f"given up: {decision.reason}"
    click.echo(f"\n{heading} {verdict}")
    if decision.places:
        print_table([("place", "score", "chosen", "why out"), *_rows(decision.places)])
    if decision.shadow and decision.shadow != decision.chosen:
        click.echo(f"the shadow would have chosen {decision.shadow}")
    elif decision.shadow:
        click.echo("the shadow would have chosen the same")


def _rows(places: Sequence[ConsideredDocument]) -> list[tuple[str, ...]]:
    return [
        (
            each.place,
            f"{each.score + 0.0:.4g}" if isinstance(each.score, float) else _NOTHING,
            "yes" if each.chosen else "",
            each.hindrance or "",
        )
        for each in places
    ]


def _status(summary: RequestSummary) -> str:
    return "running" if summary.status is None else str(summary.status)


def _times(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
