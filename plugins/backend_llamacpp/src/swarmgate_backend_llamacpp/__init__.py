"""llama.cpp as a backend, and this machine lent to llama.cpp elsewhere; each in a supervised child process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from swarmgate.api import Backend, Check, Lender, NoOptions, Part, PartContext, PluginError, Probe, Splitter, hookimpl

from swarmgate_backend_llamacpp.options import ByMemoryOptions, LlamaCppRpcOptions, LlamaOptions
from swarmgate_backend_llamacpp.rpc.arguments import DEFAULT_LISTEN


@asynccontextmanager
async def open_llamacpp(options: LlamaOptions, context: PartContext) -> AsyncGenerator[Backend]:
    """Read the model file's head; the engine starts when the gateway asks it to load."""
    from swarmgate_backend_llamacpp.backend import open_backend  # importing a plugin is light
    from swarmgate_backend_llamacpp.rpc.in_use import InUse

    try:
        in_use = context.require(InUse, hint="the probe llama_cpp_rpc is not open")
    except PluginError:  # nobody looks at workers, but there may be other models
        in_use = InUse()
        context.provide(InUse, in_use)
    async with open_backend(options, holder=context.node.name, in_use=in_use, models_dir=context.models_dir) as backend:
        yield backend


@asynccontextmanager
async def open_llama_cpp_rpc(options: LlamaCppRpcOptions, context: PartContext) -> AsyncGenerator[Lender]:
    """Open the lender; the server starts when it is asked to lend."""
    from swarmgate_backend_llamacpp.rpc.lender import RpcLender  # importing a plugin is light

    resolved = options.resolved()
    found_by_itself = context.membership is not None and resolved.listen == DEFAULT_LISTEN
    yield RpcLender(resolved, context.state_dir, node=context.node.id, gives_way=found_by_itself)


@asynccontextmanager
async def open_probe(options: NoOptions, context: PartContext) -> AsyncGenerator[Probe]:
    """Open the probe; it shares with the backends, which open later, where their engines are connected."""
    from swarmgate_backend_llamacpp.rpc.in_use import InUse  # importing a plugin is light
    from swarmgate_backend_llamacpp.rpc.probe import RpcProbe

    in_use = InUse()
    context.provide(InUse, in_use)
    yield RpcProbe(context.node.name, in_use)


@asynccontextmanager
async def open_by_memory(options: ByMemoryOptions, context: PartContext) -> AsyncGenerator[Splitter]:
    """Open the splitter."""
    from swarmgate_backend_llamacpp.by_memory import ByMemory  # importing a plugin is light

    yield ByMemory(most_workers=options.most_workers)


@hookimpl
def swarmgate_backend() -> list[Part[Any, Backend]]:
    """Offer the backend ``llamacpp``."""
    return [
        Part(
            "llamacpp",
            "Serves a GGUF model with llama.cpp: many answers at once, in a process of its own.",
            LlamaOptions,
            open_llamacpp,
        )
    ]


@hookimpl
def swarmgate_probe() -> list[Part[Any, Probe]]:
    """Offer the probe ``llama_cpp_rpc``."""
    return [
        Part(
            "llama_cpp_rpc",
            "Asks workers how much memory they lend and who has them: ours, and llama.cpp's own rpc-server.",
            NoOptions,
            open_probe,
        )
    ]


@hookimpl
def swarmgate_splitter() -> list[Part[Any, Splitter]]:
    """Offer the splitter ``by_memory``."""
    return [
        Part(
            "by_memory",
            "Keeps a model here if it fits, else gives every place layers in proportion to its memory.",
            ByMemoryOptions,
            open_by_memory,
        )
    ]


@hookimpl
def swarmgate_worker() -> list[Part[Any, Lender]]:
    """Offer the lender ``llama_cpp_rpc``."""
    options = ("listen", "memory_mb", "threads", "device", "tensor_cache", "cache_dir", "llama_cpp_args")
    return [
        Part(
            "llama_cpp_rpc",
            "Lends memory and compute to llama.cpp on other machines, to one at a time.",
            LlamaCppRpcOptions,
            open_llama_cpp_rpc,
            environ={
                **{f"GATEWAY_WORKER_{option.upper()}": option for option in options},
                "LOCALAI_EXTRA_LLAMA_CPP_ARGS": "llama_cpp_args",
            },
        )
    ]


@hookimpl
def swarmgate_checks() -> list[Check]:
    """Offer what the doctor asks of the engine."""
    from swarmgate_backend_llamacpp.checkup import ENGINE

    return [ENGINE]
