"""``gateway plan``: where a model's layers would go, without loading anything."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

if TYPE_CHECKING:
    from swarmgate.api import ModelCard, Portion, SplitPlan, Worker

_PORT = re.compile(r"[0-9]{1,5}")
_HIGHEST_PORT = 65535
_PLACEMENTS = ("auto", "local", "split")
_COLUMNS = ("place", "layers", "share", "weights", "KV cache", "computing", "total", "memory")
_EPILOG = """\b
Examples:
  gateway plan ~/models/qwen.gguf
  gateway plan big.gguf --here 16G --worker 10.0.0.5:50052=24G --worker 10.0.0.6:50052=8G"""


def _memory_of(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Read an amount of memory."""
    from swarmgate_backend_llamacpp.sizes import parse_size

    try:
        return None if value is None else parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _crew_of(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[Worker]:
    """Read workers as ``host:port=MEMORY``."""
    from swarmgate.api import LLAMA_RPC, Endpoint, NodeId, Offer, Worker

    crew: dict[str, Worker] = {}
    for value in values:
        address, equals, amount = value.rpartition("=")
        host, _, port = address.rpartition(":")
        if not equals or not host or not _PORT.fullmatch(port) or not 0 < int(port) <= _HIGHEST_PORT:
            raise click.BadParameter(f"{value!r} is no worker: expected host:port=MEMORY, such as 10.0.0.5:50052=24G")
        memory = _memory_of(context, parameter, amount)
        endpoint = Endpoint(host.removeprefix("[").removesuffix("]"), int(port))
        name = str(endpoint)
        if name in crew:
            raise click.BadParameter(f"{name} is listed twice: remove one")
        labels = {"memory_bytes": str(memory)}
        offer = Offer(node=NodeId(name), service=LLAMA_RPC, name=name, addresses=(f"tcp://{name}",), labels=labels)
        crew[name] = Worker(offer=offer, endpoint=endpoint)
    return list(crew.values())


@click.command(epilog=_EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--worker",
    "crew",
    metavar="HOST:PORT=MEMORY",
    multiple=True,
    callback=_crew_of,
    help="A machine that lends its memory.",
)
@click.option("--here", metavar="MEMORY", callback=_memory_of, help="This machine's memory; unset: what is free now.")
@click.option("--placement", type=click.Choice(_PLACEMENTS), default="auto", show_default=True, help="What is wanted.")
@click.option(
    "--context-size", type=click.IntRange(0), default=0, help="Tokens one request may use; 0: the model's own."
)
@click.option("--slots", type=click.IntRange(1, 96), default=4, show_default=True, help="Answers written at once.")
@click.option(
    "--kv-size", type=click.IntRange(0), default=0, help="Tokens the KV cache holds; 0: as the gateway would."
)
@click.option("--type-k", metavar="TYPE", default="f16", show_default=True, help="Type of the keys in the KV cache.")
@click.option("--type-v", metavar="TYPE", default="f16", show_default=True, help="Type of the values in the KV cache.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def plan(file: Path, crew: list[Worker], here: int | None, placement: str, *, as_json: bool, **options: Any) -> None:
    """Show where the layers of a GGUF file would go, without loading anything.

    The file's own sizes are counted: weights, the KV cache for the tokens the options ask for, and an
    estimate of what llama.cpp needs to compute.  The workers named here are not asked anything.
    """
    import anyio
    from msgspec.structs import replace
    from swarmgate.api import EngineError, Unavailable, free_memory

    from swarmgate_backend_llamacpp.by_memory import ByMemory
    from swarmgate_backend_llamacpp.card import draw_card
    from swarmgate_backend_llamacpp.gguf_file import read_gguf
    from swarmgate_backend_llamacpp.options import KvType, LlamaOptions

    for name in ("type_k", "type_v"):
        if options[name] not in get_args(KvType):
            raise click.BadParameter(
                f"expected one of {', '.join(get_args(KvType))}", param_hint=f"--{name.replace('_', '-')}"
            )
    memory = anyio.run(free_memory) if here is None else here
    try:
        card = replace(draw_card(read_gguf(file), LlamaOptions(**options)), placement=placement)
        decided = ByMemory().plan(card, memory, crew)
    except (EngineError, Unavailable) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    (_print_json if as_json else _print_table)(card, decided, memory)


def _print_table(card: ModelCard, decided: SplitPlan, here: int) -> None:
    from swarmgate_backend_llamacpp.layout import layers_of
    from swarmgate_backend_llamacpp.sizes import readable

    rows: list[tuple[str, ...]] = [_COLUMNS]
    for portion in layers_of(decided, card):
        sizes = (portion.weights, portion.cache, portion.compute, portion.total, _memory(portion, here))
        rows.append((_place(portion), _layers(portion), f"{portion.share:.1%}", *map(readable, sizes)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    click.echo(f"\n{decided.reason}")


def _print_json(card: ModelCard, decided: SplitPlan, here: int) -> None:
    import msgspec

    from swarmgate_backend_llamacpp.layout import layers_of, split_arguments

    arguments = split_arguments(decided, card)
    facts = {
        "model": card.name,
        "fingerprint": card.fingerprint,
        "layers": card.layers,
        "reason": decided.reason,
        "places": [
            {
                "place": _place(portion),
                "first_layer": portion.first if portion.first < portion.end else None,
                "last_layer": portion.end - 1 if portion.first < portion.end else None,
                "output": portion.output,
                "share": portion.share,
                "weight_bytes": portion.weights,
                "cache_bytes": portion.cache,
                "compute_bytes": portion.compute,
                "memory_bytes": _memory(portion, here),
            }
            for portion in layers_of(decided, card)
        ],
        "n_gpu_layers": arguments.n_gpu_layers,
        "tensor_split": arguments.tensor_split,
    }
    click.echo(msgspec.json.format(msgspec.json.encode(facts), indent=2))


def _place(portion: Portion) -> str:
    return portion.worker.offer.name if portion.worker else "here"


def _memory(portion: Portion, here: int) -> int:
    return int(portion.worker.offer.labels["memory_bytes"]) if portion.worker else here


def _layers(portion: Portion) -> str:
    held = [f"{portion.first}-{portion.end - 1}"] if portion.first < portion.end else []
    return " and ".join([*held, *(["output"] if portion.output else [])]) or "none"
