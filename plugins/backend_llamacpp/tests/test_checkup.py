from __future__ import annotations

import sys

import pytest
from swarmgate.api import Finding
from swarmgate_backend_llamacpp import checkup
from swarmgate_backend_llamacpp.checkup import examine

pytestmark = pytest.mark.anyio


def levels(findings: object) -> list[tuple[str, str]]:
    assert isinstance(findings, list)
    found: list[Finding] = findings
    return [(each.level, each.code) for each in found]


@pytest.mark.engine
async def test_the_engine_that_is_built_here_is_well() -> None:
    """It says its version, that it has RPC, and what of the processor it uses."""
    found = await examine()
    assert {each.level for each in found} == {"fine"}
    assert [each.about for each in found] == [found[0].about, "processor", "devices"]
    assert (found[0].about.startswith("llama-cpp-python 0."), found[0].what) == (True, "built with RPC")


@pytest.mark.parametrize(
    ("program", "code", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "engine.broken", "another processor"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "engine.broken", "SIGSEGV"),
        ("raise ImportError('libggml.so: cannot open')", "engine.broken", "libggml.so: cannot open"),
        ("print('hello')", "engine.broken", "makes sense"),
        (
            'print(\'{"version":"1","rpc":false,"features":[],"devices":[]}\')',
            "engine.no_rpc",
            "built without RPC",
        ),
    ],
)
async def test_what_is_wrong_with_an_engine_is_named(
    monkeypatch: pytest.MonkeyPatch, program: str, code: str, words: str
) -> None:
    """It dies in its own process, and how it died says what to do."""
    monkeypatch.setattr(checkup, "find_spec", lambda _: object())
    found = await examine([sys.executable, "-c", program])
    assert (found[0].level, found[0].code) == ("fault", code)
    assert words in found[0].what
    assert "make setup-engine" in found[0].remedy


async def test_an_engine_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started for it."""
    monkeypatch.setattr(checkup, "find_spec", lambda _: None)
    assert levels(await examine(["/nowhere"])) == [("fault", "engine.missing")]
