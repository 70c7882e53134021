"""What concerns the child alone, which is on trio whichever loop the gateway has; the parts' own tests run on both."""

from __future__ import annotations

import importlib
import warnings

import pytest


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run the gateway's side on asyncio, as in production."""
    return "asyncio"


@pytest.fixture(scope="session")
def imported() -> None:
    """Import libp2p before anything is timed: it takes seconds, and warns of its own old habits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("libp2p")
