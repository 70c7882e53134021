"""Tasks beside a block of code, that end with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import cast

import anyio
from anyio.abc import TaskGroup


@asynccontextmanager
async def background(needed: Callable[[], bool] = lambda: True) -> AsyncGenerator[TaskGroup]:
    """Yield a group for tasks that are cancelled when the block is left; unless *needed*, they are left to end.

    Unlike a bare task group it lets errors out as themselves: what the block raises, and what a
    task raises, unless several do.
    """
    raised: Exception | None = None
    try:
        async with anyio.create_task_group() as tasks:
            try:
                yield tasks
            except Exception as error:  # noqa: BLE001  # leaves below, outside the group, which would wrap it
                raised = error
            finally:
                if needed():
                    tasks.cancel_scope.cancel()
    except ExceptionGroup as group:
        raise _only(group) from None
    if raised is not None:
        raise raised


def _only(group: ExceptionGroup[Exception]) -> Exception:
    """Return the one error inside groups of one."""
    inner, *others = group.exceptions
    if others:
        return group
    return _only(cast("ExceptionGroup[Exception]", inner)) if isinstance(inner, ExceptionGroup) else inner
