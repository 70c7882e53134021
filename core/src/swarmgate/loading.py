"""From the crew to a loaded model: plan, then load, and load anew if that is wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import structlog

from swarmgate.contracts import Backend, Splitter
from swarmgate.errors import SwarmgateError, Unavailable
from swarmgate.nouns import Worker
from swarmgate.split import OnChange, SplitPlan


class Loader:
    """Loads one backend's model by what its splitter plans for the crew at hand.

    *here* measures this machine's free memory in bytes.  Once the model is loaded, a change of
    the crew is ignored, or with *on_change* ``reload`` planned for again; an equal plan changes
    nothing.
    """

    def __init__(
        self,
        name: str,
        backend: Backend,
        splitter: Splitter,
        here: Callable[[], Awaitable[int]],
        *,
        on_change: OnChange = "keep",
    ) -> None:
        self.name = name
        self.failed: str | None = None
        self.waiting: str | None = None
        self.plan: SplitPlan | None = None
        self._backend = backend
        self._splitter = splitter
        self._here = here
        self._on_change = on_change
        self._crew: tuple[Worker, ...] | None = None
        self._news = anyio.Event()
        self._log = structlog.get_logger("swarmgate.loading").bind(part=name)

    def __repr__(self) -> str:
        return f"<Loader {self.name} {self.failed or self.waiting or self.plan}>"

    def tell(self, crew: tuple[Worker, ...]) -> None:
        """Say who is there; only the latest counts."""
        self._crew = crew
        self._news.set()

    async def run(self) -> None:
        """Load whenever the crew asks for it, until cancelled."""
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            if self._crew is not None and (self.plan is None or self._on_change == "reload"):
                await self._load(self._crew)

    async def _load(self, crew: tuple[Worker, ...]) -> None:
        for card in self._backend.models()[:1]:
            try:
                plan = self._splitter.plan(card, await self._here(), crew)
            except Unavailable as error:
                self.waiting = str(error)
                self._log.warning("loading.waits", model=card.name, reason=str(error))
                return
            if self.plan is not None and plan.shares == self.plan.shares:  # reasons name numbers that always change
                return
            self.waiting, self.failed, self.plan = None, None, plan
            began = anyio.current_time()
            self._log.info("loading.began", model=card.name, workers=len(plan.workers), reason=plan.reason)
            try:
                await self._backend.load(plan)
            except SwarmgateError as error:
                self._fail(card.name, str(error))
            except Exception as error:  # noqa: BLE001  # a backend's own fault must not take the house down
                self._fail(card.name, f"load raised {type(error).__name__}: {error}")
            else:
                self._log.info("loading.done", model=card.name, seconds=round(anyio.current_time() - began, 2))

    def _fail(self, model: str, reason: str) -> None:
        self.failed = reason
        self._log.error("loading.failed", model=model, reason=reason)
