"""``gateway plan``: where models' layers are, or would go, without loading anything."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from swarmgate.cli.known import complete_models
from swarmgate.cli.output import FAILED, USAGE, expected_errors, fail, print_json, print_table
from swarmgate.cli.reading import config_option, json_option, placement_option, read
from swarmgate.cli.verbs import examples
from swarmgate.http.wire.members import WorkerDocument, worker_document
from swarmgate.http.wire.swarm import PlacedModel, PlaceDocument, PlannedModel, SwarmDocument, place_documents
from swarmgate.nouns import LLAMA_RPC, Endpoint, NodeId, Offer, Worker
from swarmgate.sizes import parse_size, readable

if TYPE_CHECKING:
    from swarmgate.config.blueprint import Blueprint
    from swarmgate.planning import Hypothesis, Outlook

_PORT = re.compile(r"[0-9]{1,5}")
_HIGHEST_PORT = 65535
_COLUMNS = ("place", "layers", "share", "weights", "KV cache", "computing", "total", "memory")
_UNKNOWN = "-"
_USABLE = "usable"


def _memory_of(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Read an amount of memory."""
    try:
        return None if value is None else parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _crew_of(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Worker, ...]:
    """Read workers as ``host:port=SIZE``."""
    crew: dict[str, Worker] = {}
    for value in values:
        address, equals, amount = value.rpartition("=")
        host, _, port = address.rpartition(":")
        if not equals or not host or not _PORT.fullmatch(port) or not 0 < int(port) <= _HIGHEST_PORT:
            raise click.BadParameter(f"{value!r} is no worker: expected host:port=SIZE, such as 10.0.0.5:50052=24G")
        memory = _memory_of(context, parameter, amount)
        endpoint = Endpoint(host.removeprefix("[").removesuffix("]"), int(port))
        name = str(endpoint)
        if name in crew:
            raise click.BadParameter(f"{name} is listed twice: remove one")
        labels = {"memory_bytes": str(memory)}
        offer = Offer(node=NodeId(name), service=LLAMA_RPC, name=name, addresses=(f"tcp://{name}",), labels=labels)
        crew[name] = Worker(offer=offer, endpoint=endpoint)
    return tuple(crew.values())


def _options_of(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Read options as ``NAME=VALUE``."""
    options: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is no option: expected NAME=VALUE, such as slots=8")
        if name in options:
            raise click.BadParameter(f"{name} is given twice: remove one")
        options[name] = text
    return options


@click.command(
    epilog=examples(
        "gateway plan",
        "gateway plan ~/models/qwen.gguf --option slots=8",
        "gateway plan big.gguf --here 16G --worker 10.0.0.5:50052=24G --worker 10.0.0.6:50052=8G",
    )
)
@click.argument("model", required=False, shell_complete=complete_models)
@config_option
@placement_option
@click.option(
    "--option",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_options_of,
    help="Set an option of the model's backend, such as slots=8 or type_k=q8_0.",
)
@click.option("--here", metavar="SIZE", callback=_memory_of, help="Suppose this machine had so much memory free.")
@click.option(
    "--worker",
    "crew",
    metavar="HOST:PORT=SIZE",
    multiple=True,
    callback=_crew_of,
    help="Suppose this worker, and no others but those named so, lent so much memory.",
)
@json_option
def plan(
    model: str | None,
    file: str | None,
    placement: str | None,
    *,
    options: dict[str, str],
    here: int | None,
    crew: tuple[Worker, ...],
    as_json: bool,
) -> None:
    """Show where the layers of MODEL are, or would go, without loading anything.

    MODEL is a GGUF file, or the name of a configured model; without it all configured models are shown.  Where
    a gateway runs at the configured address, its own account of its models is shown.  Else the configured workers
    are asked what they have, and nothing is taken of it; with --here or --worker nobody is asked anything.

    The status is 1 if a model fits nowhere, with the numbers.
    """
    from swarmgate.planning import Hypothesis

    given = Hypothesis(here=here, workers=crew) if here is not None or crew else None
    is_file = model is not None and (model.endswith(".gguf") or Path(model).is_file())
    flags: dict[str, Any] = {} if placement is None else {"placement": placement}
    with expected_errors():
        blueprint, _, _ = read(file, {**flags, "model": (model,)} if is_file else flags)
        supposing = is_file or given is not None or placement is not None or bool(options)
        if not supposing and _tell_running(blueprint, model, as_json=as_json):
            return
        _foretell(_amended(blueprint, options), None if is_file else model, given, as_json=as_json)


def _tell_running(blueprint: Blueprint, model: str | None, *, as_json: bool) -> bool:
    """Print what the running gateway says of *model*, or of all; return whether there is one that knows it."""
    from swarmgate.cli.running import ask_running

    found = ask_running(blueprint.settings)
    if found.fault:
        click.echo(f"note: {found.fault}", err=True)
    if found.swarm is None:
        return False
    models = [each for each in found.swarm.models if model in (None, each.name, *(each.aliases or ()))]
    if not models:
        return False
    if as_json:
        print_json({"running": found.url, "models": models, "workers": found.swarm.workers})
    else:
        _print_running(found.url, found.swarm, models)
    if any(each.waiting and not each.places for each in models):
        sys.exit(FAILED)
    return True


def _print_running(url: str, swarm: SwarmDocument, models: Iterable[PlacedModel]) -> None:
    click.echo(f"as the running gateway {swarm.gateway.name} at {url} has it\n")
    for number, each in enumerate(models):
        state = "ready" if each.ready else (each.reason or "not ready").removeprefix(f"{each.name} ")
        _print_model(each, f"{each.name}: {state}", first=number == 0)
        if each.coming:
            click.echo("\nbeing loaded:")
            _print_plan(each.coming.places, each.coming.plan)
    _print_left_out(swarm.workers)


def _amended(blueprint: Blueprint, options: dict[str, str]) -> Blueprint:
    """Return *blueprint* with *options* set for every backend that knows them.

    Raises:
        FaultyConfig: nobody knows one of them, or it cannot have that value.

    """
    from swarmgate.config.decode import Given, amend
    from swarmgate.config.faults import Fault, FaultyConfig, Place, fault, suggest
    from swarmgate.config.fields import fields_of
    from swarmgate.parts import BACKEND

    given = {name: Given(text, Place(f"--option {name}")) for name, text in options.items()}
    known = {name for choice in blueprint.of(BACKEND) for name in fields_of(choice.part.options)}
    faults: list[Fault] = [
        fault(given[name].place, f"unknown option {name!r}; {suggest(name, known)}") for name in given.keys() - known
    ]
    choices = list(blueprint.choices)
    for number, choice in enumerate(choices):
        if choice.slot.name != BACKEND.name:
            continue
        its = {name: each for name, each in given.items() if name in fields_of(choice.part.options)}
        if its and (made := amend(choice.options, its, faults.append)) is not None:
            choices[number] = replace(choice, options=made)
    if faults:
        raise FaultyConfig(faults)
    return replace(blueprint, choices=tuple(choices))


def _foretell(blueprint: Blueprint, model: str | None, given: Hypothesis | None, *, as_json: bool) -> None:
    """Print what would become of *model*, or of all; end with status 1 if that is nothing."""
    from functools import partial

    import anyio

    from swarmgate import logs, planning

    logs.configure(blueprint.settings.log_format, "error")  # who is left out, and why, is in the answer
    with planning.onlooker(blueprint.settings) as context:
        outlook = anyio.run(partial(planning.foresee, blueprint, context, given=given))
    models = _chosen(outlook, model)
    workers = [worker_document(member) for member in outlook.members]
    if as_json:
        print_json({"running": None, "memory_bytes": outlook.here, "models": models, "workers": workers})
    else:
        placed = [each for each in models if each.places]
        for number, each in enumerate(placed):
            _print_model(each, f"{each.name}:" if len(models) > 1 else "", first=number == 0)
        _print_left_out(workers, err=not placed)
    refused = [each.waiting for each in models if each.waiting]
    for reason in refused:
        click.echo(f"error: {reason}", err=True)
    if refused:
        sys.exit(FAILED)


def _chosen(outlook: Outlook, model: str | None) -> list[PlannedModel]:
    """Return the forecasts for *model*, or all."""
    from swarmgate.config.faults import suggest

    known = {name for each in outlook.forecasts for name in (each.card.name, *each.card.aliases)}
    if model is not None and model not in known:
        fail(f"no model is called {model!r}, and no file; {suggest(model, known)}", status=USAGE)
    return [
        PlannedModel(
            name=each.card.name,
            backend=each.backend,
            placement=each.card.placement or "auto",
            plan=each.plan.reason if each.plan else msgspec.UNSET,
            places=place_documents(each.plan, outlook.here) if each.plan else [],
            waiting=each.refusal or msgspec.UNSET,
        )
        for each in outlook.forecasts
        if model in (None, each.card.name, *each.card.aliases)
    ]


def _print_model(model: PlannedModel, heading: str, *, first: bool) -> None:
    if not first:
        click.echo()
    if heading:
        click.echo(heading)
    if model.places:
        _print_plan(model.places, model.plan or "")


def _print_plan(places: Sequence[PlaceDocument], reason: str) -> None:
    """Print a table of *places*, shares only where nobody knows what comes of them, and the *reason*."""
    _print_places(places)
    if reason:
        click.echo(f"\n{reason}")


def _print_places(places: Sequence[PlaceDocument]) -> None:
    if all(place.first_layer is None and not place.total_bytes for place in places):
        print_table([("place", "share"), *((place.place, f"{place.share:.1%}") for place in places)])
        return
    rows: list[tuple[str, ...]] = [_COLUMNS]
    for place in places:
        sizes = (place.weight_bytes, place.cache_bytes, place.compute_bytes, place.total_bytes, place.memory_bytes)
        rows.append((place.place, _layers(place), f"{place.share:.1%}", *map(_size, sizes)))
    print_table(rows)


def _size(size: int | msgspec.UnsetType) -> str:
    return _UNKNOWN if isinstance(size, msgspec.UnsetType) else readable(size)


def _layers(place: PlaceDocument) -> str:
    held = [] if place.first_layer is None else [f"{place.first_layer}-{place.last_layer}"]
    return " and ".join([*held, *(["output"] if place.output else [])]) or "none"


def _print_left_out(workers: Iterable[WorkerDocument], *, err: bool = False) -> None:
    for worker in workers:
        lent = f"is lent to {worker.leased_by!r}" if worker.leased_by and not worker.model else ""
        if worker.state not in (_USABLE, "gone") or lent:
            click.echo(f"left out: {worker.name}: {worker.reason or lent or 'has not answered yet'}", err=err)
