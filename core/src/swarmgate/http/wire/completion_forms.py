"""Pieces of continued texts, made into server-sent events or into one document."""

from __future__ import annotations

import codecs
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from swarmgate.chat import Delta, Finish, TokenLogprob, Usage
from swarmgate.http.wire.chat_documents import finite, spoken
from swarmgate.http.wire.heading import DONE, Heading, Tally, UsageDocument, encode, usage_document


class TextLogprobs(Struct, kw_only=True):
    """Four lists of the same length; *text_offset* counts characters from the start of the text."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class TextChoice(Struct, kw_only=True):
    """One of the answers; *finish_reason* is null in all pieces of a stream but the last."""

    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: Finish | None


class Completion(Struct, kw_only=True):
    """A whole answer to ``/v1/completions``."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: UsageDocument
    system_fingerprint: str | None = None


class CompletionChunk(Struct, kw_only=True):
    """One server-sent event of a streamed answer; *usage* only where it was asked for."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    system_fingerprint: str | None = None
    usage: UsageDocument | UnsetType | None = UNSET


class TextChunks:
    """Server-sent events.  What never changes in a stream is encoded once, at the start."""

    def __init__(self, heading: Heading, *, choices: int, per_prompt: int, include_usage: bool) -> None:
        opening = heading.opening("text_completion")
        self._tally = Tally(choices, per_prompt=per_prompt)
        self._fronts = [opening + b'{"index":%d,"text":' % choice for choice in range(choices)]
        self._close = b"]%b}\n\n" % (b',"usage":null' if include_usage else b"")
        self._plain = b',"logprobs":null,"finish_reason":null}' + self._close
        self._last = opening + b'],"usage":' if include_usage else b""
        self._offsets = [_Offsets() for _ in range(choices)]
        self._echoes = [""] * choices

    @property
    def usage(self) -> Usage:
        """Return the tokens counted so far."""
        return self._tally.usage

    def echo(self, prompts: tuple[str, ...]) -> None:
        """Send *prompts*, one for each choice, before the answers."""
        self._echoes = list(prompts)

    def take(self, choice: int, delta: Delta) -> bytes:
        """Return the event for a piece, if it has anything to say."""
        self._tally.take(choice, delta)
        text = self._echoes[choice] + delta.text
        self._echoes[choice] = ""
        if delta.finish is None and not delta.logprobs:
            return self._fronts[choice] + encode(text) + self._plain if text else b""
        logprobs = self._offsets[choice].take(delta.logprobs)
        tail = b',"logprobs":%b,"finish_reason":%b}' % (encode(logprobs), encode(delta.finish))
        return self._fronts[choice] + encode(text) + tail + self._close

    def close(self) -> bytes:
        """Return the counts, if they were asked for, and the end of the stream."""
        if not self._last:
            return DONE
        return self._last + encode(usage_document(self.usage)) + b"}\n\n" + DONE


class TextDocument:
    """One ``text_completion`` document."""

    def __init__(self, heading: Heading, *, choices: int, per_prompt: int) -> None:
        self._heading = heading
        self._tally = Tally(choices, per_prompt=per_prompt)
        self._texts: list[list[str]] = [[] for _ in range(choices)]
        self._logprobs: list[list[TokenLogprob]] = [[] for _ in range(choices)]
        self._finishes: list[Finish | None] = [None] * choices

    @property
    def usage(self) -> Usage:
        """Return the tokens counted so far."""
        return self._tally.usage

    def echo(self, prompts: tuple[str, ...]) -> None:
        """Put *prompts*, one for each choice, before the answers."""
        for texts, prompt in zip(self._texts, prompts, strict=True):
            texts.insert(0, prompt)

    def take(self, choice: int, delta: Delta) -> bytes:
        """Keep a piece; nothing is sent before all are there."""
        self._tally.take(choice, delta)
        self._texts[choice].append(delta.text)
        self._logprobs[choice] += delta.logprobs
        self._finishes[choice] = delta.finish or self._finishes[choice]
        return b""

    def close(self) -> bytes:
        """Return the document."""
        heading = self._heading
        return encode(
            Completion(
                id=heading.id,
                created=heading.created,
                model=heading.model,
                system_fingerprint=heading.system_fingerprint,
                choices=[
                    TextChoice(
                        index=index,
                        text="".join(texts),
                        logprobs=_Offsets().take(tuple(logprobs)),
                        finish_reason=finish,
                    )
                    for index, (texts, logprobs, finish) in enumerate(
                        zip(self._texts, self._logprobs, self._finishes, strict=True)
                    )
                ],
                usage=usage_document(self.usage),
            )
        )


class _Offsets:
    """Follows where in the text each token begins, through half characters too."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._offset = 0

    def take(self, entries: tuple[TokenLogprob, ...]) -> TextLogprobs | None:
        if not entries:
            return None
        offsets: list[int] = []
        for entry in entries:
            offsets.append(self._offset)
            self._offset += len(self._decoder.decode(entry.data))
        tops = [{spoken(top.data): finite(top.logprob) for top in entry.top} for entry in entries]
        return TextLogprobs(
            tokens=[spoken(entry.data) for entry in entries],
            token_logprobs=[finite(entry.logprob) for entry in entries],
            top_logprobs=tops if any(tops) else None,
            text_offset=offsets,
        )
