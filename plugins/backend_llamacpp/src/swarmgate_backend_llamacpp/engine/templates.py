"""A model's own chat template, rendered as Hugging Face's ``apply_chat_template`` does.  Pure but for the date.

Templates come out of a GGUF file, so out of the wide world.  Bounded here: what they can reach (jinja's immutable
sandbox), the length of ``range`` (jinja's), the length of the source and of the text they write.  Not bounded: the
time and memory of a single expression; a hostile file can stall or burst the engine's process, which is why that
process is a child of its own and the gateway outlives it.
"""

from __future__ import annotations

import json  # noqa: TID251  # templates were trained on the spacing of json.dumps; msgspec writes none
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from swarmgate.api import RequestError, Unsupported

#: What most small models without a template of their own were tuned on.
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
#: Where an answer to :data:`CHATML` ends, should the vocabulary not say so.
CHATML_STOPS = ("<|im_end|>", "<|im_start|>")

MAX_SOURCE = 1 << 20  # characters
MAX_RENDERED = 1 << 25  # characters
_OURS = frozenset({"messages", "tools", "add_generation_prompt", "bos_token", "eos_token"})


class Refusal(TemplateError):
    """The template called ``raise_exception``: it does not accept the conversation."""


class _Generation(Extension):
    """Reads ``{% generation %}…{% endgeneration %}``, which marks what a trainer trains on, as plain text."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Return what stands between the marks."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise_exception(message: str) -> NoReturn:
    raise Refusal(message)


def _tojson(  # the signature Hugging Face's templates call
    value: Any,
    ensure_ascii: bool = False,  # noqa: FBT001, FBT002
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,  # noqa: FBT001, FBT002
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
    )
    environment.filters["tojson"] = _tojson
    return environment


def local_time() -> datetime:
    """Return the local date and time, for templates that tell the model what day it is."""
    return datetime.now().astimezone()


class ChatTemplate:
    """One compiled template.

    One that does not compile is kept with the reason: the model can still continue plain text.
    """

    def __init__(self, source: str, *, bos: str = "", eos: str = "", now: Callable[[], datetime] = local_time) -> None:
        """*bos* and *eos* are the vocabulary's markers as written; *now* is the clock of ``strftime_now``."""
        self.source = source
        self._bos, self._eos, self._now = bos, eos, now
        self._fault = ""
        if len(source) > MAX_SOURCE:
            self._fault = f"it has {len(source)} characters, expected at most {MAX_SOURCE}"
            return
        try:
            self._template = _environment().from_string(source)
        except (TemplateError, RecursionError) as error:
            self._fault = str(error)

    def __repr__(self) -> str:
        return f"<ChatTemplate of {len(self.source)} characters{': ' + self._fault if self._fault else ''}>"

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        extra: Mapping[str, Any] | None = None,
        generate: bool = True,
    ) -> str:
        """Return the conversation as the model reads it, up to where its answer begins if *generate*.

        *messages* and *tools* are in OpenAI's form, *extra* are the client's own variables (``chat_template_kwargs``).

        Raises:
            Unsupported: the template itself is broken.
            RequestError: it does not accept these messages, and why.

        """
        if self._fault:
            raise Unsupported(f"the model's chat template cannot be used: {self._fault}", param="messages")
        if extra and (clash := sorted(_OURS & extra.keys())):
            raise RequestError(
                f"chat_template_kwargs may not set {clash[0]!r}, which the request itself gives",
                param="chat_template_kwargs",
            )
        variables: dict[str, Any] = {
            **(extra or {}),
            "messages": messages,
            "tools": tools,
            "add_generation_prompt": generate,
            "bos_token": self._bos,
            "eos_token": self._eos,
            "raise_exception": _raise_exception,
            "strftime_now": self._strftime_now,
        }
        try:
            return self._write(variables)
        except RequestError:
            raise
        except Refusal as error:
            raise RequestError(f"the model's chat template refuses the messages: {error}", param="messages") from None
        except Exception as error:  # noqa: BLE001  # a template can fail in every way a program can
            raise RequestError(
                f"the model's chat template cannot render the messages: {type(error).__name__}: {error}",
                param="messages",
            ) from None

    def _strftime_now(self, form: str) -> str:
        return self._now().strftime(form)

    def _write(self, variables: Mapping[str, Any]) -> str:
        pieces: list[str] = []
        room = MAX_RENDERED
        for piece in self._template.generate(variables):
            pieces.append(piece)
            room -= len(piece)
            if room < 0:
                raise RequestError(
                    f"the model's chat template writes more than {MAX_RENDERED} characters; send less", param="messages"
                )
        return "".join(pieces)
