"""What holds for every test: both loops, nothing blocks them, and a missing engine is said out loud."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import Phase, settings

_WATCHED = ("swarmgate",)

settings.register_profile(
    "house",
    deadline=None,  # a busy machine is no fault of the code
    phases=[phase for phase in Phase if phase is not Phase.explain],  # it traces every line, up to half a minute
)
settings.load_profile("house")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run each anyio test on both loops; a folder whose subject knows only one overrides this."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _nothing_blocks() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]  # a fixture
    """Make a blocking call of ours inside an asyncio loop an error."""
    with blockbuster_ctx(_WATCHED):
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes long where files run side by side; skip what needs the engine where there is none."""
    if hasattr(config, "workerinput"):  # one of `make test`'s processes: all would wait for a long file begun last
        items.sort(key=lambda item: not any(map(item.get_closest_marker, ("journey", "clients", "swarm"))))
    if find_spec("llama_cpp") is not None:
        return
    missing = pytest.mark.skip(reason="llama-cpp-python is not installed: run `make setup-engine`")
    for item in items:
        if item.get_closest_marker("engine") is not None:
            item.add_marker(missing)


def pytest_unconfigure() -> None:
    """Close what llama_cpp opens on import and never closes, lest a warning follow pytest's closing line."""
    opened = sys.modules.get("llama_cpp._utils")
    for name in ("outnull_file", "errnull_file"):
        if file := getattr(opened, name, None):
            file.close()
