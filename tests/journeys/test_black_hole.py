"""A node that swallows requests among healthy ones draws hardly any, and nobody's request suffers from it."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from live_gateway import LiveGateway, live_gateway
from misbehaving import Conduct, a_node, fail_fast, hang

pytestmark = pytest.mark.journey

_BALANCERS = ("least_loaded", "p2c", "cost", "prefix")
_TOGETHER = 6
#: Load runs for so many seconds before the node's share is taken of so many answers.
_SETTLING, _MEASURED = 2.0, 100
_QUESTION = " ".join(["Say this again."] * 4)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Generator[list[str]]:
    """Run three good nodes, whose answers take a while."""
    backend = {"use": "echo", "model": "m", "delay_seconds": 0.01, "slots": 4}
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp(f"good-{number}") for number in range(3)]
        yield [stack.enter_context(live_gateway(folder, [backend])).url for folder in folders]


class Load:
    """Clients who ask one thing after the other until told to stop; what was wrong with an answer is kept."""

    def __init__(self, hub: LiveGateway) -> None:
        self.hub = hub
        self.answered = 0
        self.wrong: list[str] = []
        self._over = threading.Event()
        self._news = threading.Condition()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(_TOGETHER)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def until_answered(self, count: int) -> None:
        """Wait until so many have been answered."""
        with self._news:
            assert self._news.wait_for(lambda: self.answered >= count, 90), self.hub.said()[-3000:]

    def _ask(self, number: int) -> None:
        texts = [f"You are one of {number}.", _QUESTION]
        messages = [{"role": role, "content": text} for role, text in zip(("system", "user"), texts, strict=True)]
        with httpx.Client(base_url=self.hub.url, timeout=30) as client:
            while not self._over.is_set():
                answer = client.post("/v1/chat/completions", json={"model": "m", "messages": messages})
                good = answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"] == _QUESTION
                with self._news:
                    self.answered += 1
                    if not good:
                        self.wrong.append(answer.text)
                    self._news.notify_all()


def hub_in_front(nodes: Sequence[str], black_hole: str, balancer: str) -> dict[str, Any]:
    """Return what a gateway with that balancer needs in front of all of them, the black hole first."""
    hole = {"use": "openai", "url": black_hole, "name": "hole", "first_seconds": 0.5, "refresh_seconds": 0.5}
    backends = [hole, *({"use": "openai", "url": url} for url in nodes)]
    return {"backends": backends, "arguments": ("federated",), "tables": [("[balancer]", {"use": balancer})]}


@pytest.mark.parametrize("conduct", [fail_fast, hang])
@pytest.mark.parametrize("balancer", _BALANCERS)
def test_a_black_hole_among_three_is_left_alone(
    healthy: list[str], tmp_path: Path, balancer: str, conduct: Conduct
) -> None:
    """Under steady load no request fails, and after two seconds less than 5 % of the attempts go there."""
    with (
        a_node(conduct) as hole,
        live_gateway(tmp_path, **hub_in_front(healthy, hole.url, balancer)) as hub,
        Load(hub) as load,
    ):
        time.sleep(_SETTLING)  # what is claimed is a time
        asked, answered = hole.asked, load.answered
        load.until_answered(answered + _MEASURED)
        share = (hole.asked - asked) / _MEASURED
    assert load.wrong == []
    assert hole.asked > 0, "it was tried at all"
    assert share < 0.05, f"{share:.1%} of the attempts, {hole.asked} in all"
