from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

import pytest
from live_gateway import live_gateway
from swarmgate.api import Backend
from swarmgate.testing import BackendContract, PluginContract, a_node
from swarmgate_backend_openai import OpenAIOptions
from swarmgate_backend_openai.backend import open_backend

pytestmark = pytest.mark.journey


class TestPlugin(PluginContract):
    plugin = "openai"


class TestGateway(BackendContract):
    """A gateway at the other end of a wire keeps every promise that its own backend keeps."""

    url: ClassVar[str]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _gateway(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        folder = tmp_path_factory.mktemp("node")
        with live_gateway(folder, [{"use": "echo", "context_length": 2048}]) as gateway:
            cls.url = gateway.url
            yield

    def make(self) -> AbstractAsyncContextManager[Backend]:
        return open_backend(OpenAIOptions(url=self.url), a_node())
