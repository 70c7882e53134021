"""Other gateways, and any server that speaks OpenAI's API, as backends."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from msgspec import Meta
from swarmgate.api import PATH, SECRET, Backend, Check, Options, Part, PartContext, hookimpl

Seconds = Annotated[float, Meta(gt=0)]


class OpenAIOptions(Options, frozen=True):
    """Where to ask, and how patiently."""

    #: Where the server is, such as http://10.0.0.9:8080; a /v1 at the end does not matter.
    url: Annotated[str, Meta(examples=["http://10.0.0.9:8080"])]
    #: The API key to show.
    api_key: Annotated[str, SECRET] = ""
    #: A file that holds the API key in its first line that is neither empty nor begins with #.
    api_key_file: Annotated[str, PATH] | None = None
    #: The environment variable that holds the API key, by its name.
    api_key_env: str = ""
    #: What the server is called in answers and logs; its own name if it is a gateway, else its host and port.
    name: str = ""
    #: The only models to take from there, each as NAME, or as ALIAS=NAME to serve it under another name.
    models: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    #: How many answers the server is asked for at once, by model; what it says itself if not given, else 8.
    slots: Annotated[int, Meta(ge=1)] | None = None
    #: Its share where balancers weigh: one with 2 gets twice as many turns as one with 1.
    weight: Annotated[float, Meta(gt=0, le=1_000_000)] = 1.0
    #: Seconds a connection may take.
    connect_seconds: Seconds = 3.0
    #: Seconds until an answer begins, reading a long prompt included; without end if not given.
    first_seconds: Seconds | None = None
    #: Seconds of silence in the middle of an answer (a gateway that reads a prompt is never silent).
    idle_seconds: Seconds = 60.0
    #: Seconds of silence after which the server is asked whether it lives, while it answers somebody; 0: never.
    silence_seconds: Annotated[float, Meta(ge=0)] = 2.0
    #: Seconds it may take to say that it lives; if it fails to, twice in a row, it is taken to hang.
    sign_seconds: Seconds = 3.0
    #: Seconds between two looks at what the server has.
    refresh_seconds: Seconds = 5.0
    #: Seconds a look may take.
    look_seconds: Seconds = 5.0
    #: Seconds for which the models of a server that is gone are still known.
    remember_seconds: Annotated[float, Meta(ge=0)] = 300.0


@asynccontextmanager
async def open_openai(options: OpenAIOptions, context: PartContext) -> AsyncGenerator[Backend]:
    """Look at the server once, and again and again from then on; one that is not there is no error."""
    from swarmgate_backend_openai.backend import open_backend

    async with open_backend(options, context.node) as backend:
        yield backend


@hookimpl
def swarmgate_backend() -> list[Part[Any, Backend]]:
    """Offer ``openai``."""
    summary = "Asks another gateway, or any server that speaks OpenAI's API."
    return [Part("openai", summary, OpenAIOptions, open_openai, loads=False)]


@hookimpl
def swarmgate_checks() -> list[Check]:
    """Offer what the doctor asks of the servers that are listed."""
    from swarmgate_backend_openai.checkup import SERVERS

    return [SERVERS]
