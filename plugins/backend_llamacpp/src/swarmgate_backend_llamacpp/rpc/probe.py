"""Looks into workers for as long as anybody wants to know, without getting in the way of who uses them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from math import inf

import anyio
from msgspec.structs import replace
from swarmgate.api import LLAMA_RPC, Endpoint, Service, Unavailable, Unreachable, WireError, free_memory

from swarmgate_backend_llamacpp.gpu_memory import free_gpu_memory
from swarmgate_backend_llamacpp.rpc.client import Control, WorkerFacts, interview, patience
from swarmgate_backend_llamacpp.rpc.in_use import InUse
from swarmgate_backend_llamacpp.rpc.lease import SILENCE_SECONDS

#: How often a lender of ours is asked, and llama.cpp's own server, in seconds.
_LENDER_SECONDS, _FOREIGN_SECONDS = 2.0, 10.0
#: How long anybody may take to say who they are, in seconds.
_HELLO_SECONDS = 5.0
#: Free memory jitters: a smaller change, as a share of it, is not told.
_TOLD_SHARE = 0.05
_LEFT = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


class RpcProbe:
    """Asks lenders of ours over one connection, which tells at once when they die, and llama.cpp's own servers anew.

    Silence is noticed after six seconds.  Of llama.cpp's own server, which answers one client at a time, nothing is
    asked while an engine of ours is connected: the engine's backend notices that it is gone.
    """

    def __init__(
        self,
        holder: str,
        in_use: InUse,
        *,
        lender_seconds: float = _LENDER_SECONDS,
        foreign_seconds: float = _FOREIGN_SECONDS,
        hello_seconds: float = _HELLO_SECONDS,
    ) -> None:
        """*holder* is this gateway's name; the seconds are how often workers are asked, and may take to answer."""
        self._holder, self._in_use = holder, in_use
        self._known: dict[Endpoint, WorkerFacts] = {}
        self._lender_seconds, self._foreign_seconds = lender_seconds, foreign_seconds
        self._hello_seconds = hello_seconds

    def __repr__(self) -> str:
        return f"<RpcProbe of {self._holder}>"

    @property
    def service(self) -> Service:
        """Return the service of llama.cpp's RPC."""
        return LLAMA_RPC

    async def here(self) -> int:
        """Return this machine's free memory in bytes, that of its GPUs included."""
        return await free_memory() + await free_gpu_memory()

    @asynccontextmanager
    async def watch(self, endpoint: Endpoint) -> AsyncGenerator[AsyncIterator[dict[str, str]]]:
        """Yield the labels of the worker at *endpoint*, and again after they changed by more than a jitter."""
        reports = self._reports(endpoint)
        try:
            yield reports
        finally:
            await reports.aclose()

    async def _reports(self, endpoint: Endpoint) -> AsyncGenerator[dict[str, str]]:
        told: dict[str, str] = {}
        looks = self._looks(endpoint)
        try:
            async for facts in looks:
                if facts.waiting:
                    raise Unavailable(f"the worker at {endpoint} cannot lend now: {facts.waiting}")
                labels = facts.labels()
                if is_news(told, labels):
                    told = labels
                    yield labels
        finally:
            await looks.aclose()

    async def _looks(self, endpoint: Endpoint) -> AsyncGenerator[WorkerFacts]:
        if endpoint not in self._in_use:
            async with patience(endpoint, self._hello_seconds):
                control = await Control.open(endpoint)
            async with control.stream:
                facts = await self._hello(control, endpoint)
                while facts is not None:
                    yield facts
                    facts = await self._ask_later(control, endpoint)
        while True:
            known = self._known.get(endpoint)
            facts = replace(known, leased_by=self._holder) if known is not None else None
            used = endpoint in self._in_use
            if not used:
                facts = await self._interview(endpoint)
            if facts is not None:
                yield facts
            with anyio.move_on_after(inf if used else self._foreign_seconds):
                while used == (endpoint in self._in_use):
                    await self._in_use.changed()

    async def _hello(self, control: Control, endpoint: Endpoint) -> WorkerFacts | None:
        """Return what a lender of ours says; None if it is something else, llama.cpp's own server perhaps."""
        async with patience(endpoint, self._hello_seconds):
            try:
                return await control.facts(self._holder)
            except _LEFT:
                return None

    async def _ask_later(self, control: Control, endpoint: Endpoint) -> WorkerFacts:
        """Return what a lender says after a while, or raise at once when it is gone."""
        try:
            with anyio.move_on_after(self._lender_seconds):
                said = await control.hear()
                raise Unreachable(f"the worker at {endpoint} said {type(said).__name__} without being asked")
            with anyio.fail_after(SILENCE_SECONDS):
                return await control.facts(self._holder)
        except _LEFT:
            raise Unreachable(f"the worker at {endpoint} is gone: it closed the connection") from None
        except TimeoutError:
            raise Unreachable(f"the worker at {endpoint} has been silent for {SILENCE_SECONDS:g} s") from None
        except WireError as error:
            raise Unreachable(f"{endpoint} is no llama.cpp worker: {error}") from None

    async def _interview(self, endpoint: Endpoint) -> WorkerFacts | None:
        """Ask llama.cpp's own server; None if an engine of ours came first."""
        try:
            async with patience(endpoint, self._hello_seconds):
                facts = self._known[endpoint] = await interview(endpoint)
        except Unreachable:
            self._known.pop(endpoint, None)
            if endpoint in self._in_use:
                return None
            raise
        return facts


def is_news(told: dict[str, str], labels: dict[str, str]) -> bool:
    """Return whether *labels* differ from those that were *told* by more than a jitter of the free memory."""
    before, now = (int(each.get("memory_bytes", 0)) for each in (told, labels))
    steady = {**labels, "memory_bytes": told.get("memory_bytes", "")} == told
    return not steady or abs(now - before) > _TOLD_SHARE * before
