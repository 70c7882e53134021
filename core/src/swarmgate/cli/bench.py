"""``gateway bench``: a quick load on the running gateway, and how it bears it."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from swarmgate.cli.figures import Report, Shot, Spread, report
from swarmgate.cli.known import chosen, complete_models
from swarmgate.cli.output import FAILED, expected_errors, print_json, print_table, printable
from swarmgate.cli.reading import config_option, json_option, read
from swarmgate.cli.verbs import examples
from swarmgate.config.settings import Settings

if TYPE_CHECKING:
    from swarmgate.cli.volley import Volley

_USUAL_REQUESTS = 32
_CLEAR = "\x1b[K"


@click.command(
    epilog=examples("gateway bench", "gateway bench qwen --concurrency 16 --seconds 30", "gateway bench --json")
)
@click.argument("model", required=False, shell_complete=complete_models)
@click.option("--concurrency", type=click.IntRange(1, 4096), default=4, show_default=True, help="Requests at a time.")
@click.option("--requests", type=click.IntRange(min=1), help=f"Requests in all; {_USUAL_REQUESTS} if nothing is said.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Begin no more requests after this time.")
@click.option(
    "--prompt-tokens", type=click.IntRange(min=1), default=128, show_default=True, help="About so long is each prompt."
)
@click.option("--max-tokens", type=click.IntRange(min=1), default=64, show_default=True, help="So long is each answer.")
@json_option
@config_option
def bench(
    model: str | None,
    file: str | None,
    *,
    concurrency: int,
    requests: int | None,
    seconds: float | None,
    prompt_tokens: int,
    max_tokens: int,
    as_json: bool,
) -> None:
    """Put a quick load on MODEL of the gateway that runs at the configured address, and show how it bears it.

    Prompts are words by chance, each its own, and answers are streamed.  What is shown: how long the first piece of an
    answer takes, the gaps between the pieces, tokens per second, and what failed.  Ctrl-C ends it early.

    The status is 1 if no gateway runs there, or if no request was answered.
    """
    with expected_errors():
        blueprint, _, _ = read(file, local=False)
    settings = blueprint.settings
    from swarmgate.cli.volley import Volley

    name = chosen(settings, model, able="bear a load")
    wanted = requests if requests is not None or seconds is not None else _USUAL_REQUESTS
    found = _measured(settings, Volley(name, concurrency, wanted, seconds, prompt_tokens, max_tokens))
    if as_json:
        print_json(found)
    else:
        for line in summary(found):
            click.echo(printable(line))
        print_table(table(found))
    if found.requests == found.failed:
        sys.exit(FAILED)


def _measured(settings: Settings, volley: Volley) -> Report:
    from functools import partial

    import anyio

    from swarmgate.cli.volley import fire, prompts, tokens_per_word

    shots: list[Shot] = []
    texts = prompts(volley.prompt_tokens, tokens_per_word(settings, volley.model), random.Random())  # noqa: S311
    began = time.perf_counter()
    try:
        anyio.run(partial(fire, settings, volley, texts, shots, told=_teller(volley.requests, shots)))
    except KeyboardInterrupt:
        pass  # what there is by now is shown
    finally:
        if sys.stderr.isatty():
            click.echo(f"\r{_CLEAR}", nl=False, err=True)
    seconds = (max((shot.ended for shot in shots), default=began)) - began
    return report(shots, model=volley.model, concurrency=volley.concurrency, seconds=seconds)


def _teller(requests: int | None, shots: list[Shot]) -> Callable[[], None]:
    """Return what shows how many are done, on one line of a terminal."""
    of = f" of {requests}" if requests is not None else ""
    shown = sys.stderr.isatty()

    def tell() -> None:
        if shown:
            click.echo(f"\r{_CLEAR}{len(shots)}{of} requests", nl=False, err=True)

    return tell


def summary(found: Report) -> list[str]:
    """Return the lines above the table: how much was asked, how fast it went, who answered, what failed."""
    lines = [
        f"{found.model}: {found.requests} requests, {found.concurrency} at a time, in {found.seconds:.2f} s",
        f"{found.requests_per_second:.2f} requests/s, {found.tokens_per_second:.1f} tokens/s written",
        f"tokens: {found.prompt_tokens} read, {found.completion_tokens} written",
    ]
    if found.workers:
        lines.append("answered by " + ", ".join(f"{name} ({count})" for name, count in found.workers.items()))
    lines.append(f"failed: {found.failed or 'none'}")
    lines += [f"  {count} x {error}" for error, count in found.errors.items()]
    return lines


def table(found: Report) -> list[tuple[str, ...]]:
    """Return the rows of measures, in milliseconds."""
    measures = (
        ("first piece", found.first_piece),
        ("gap", found.gap),
        ("per token", found.per_token),
        ("request", found.request),
    )
    rows = [(name, *_milliseconds(spread)) for name, spread in measures if spread is not None]
    return [("ms", "p50", "p90", "p99", "mean", "max"), *rows] if rows else []


def _milliseconds(spread: Spread) -> tuple[str, ...]:
    return tuple(f"{value * 1000:.1f}" for value in (spread.p50, spread.p90, spread.p99, spread.mean, spread.max))
