"""Uses langchain-openai as its users do, and prints what came of it as JSON.

python langchain_client.py BASE_URL CHAT_MODEL EMBEDDING_MODEL
"""

from __future__ import annotations

import sys
from typing import Any

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr
from scenes import play

URL, MODEL, EMBEDDER = sys.argv[1:]
KEY = SecretStr("none needed")
QUESTION: list[Any] = [("system", "You are a helpful AI assistant."), ("human", "Name the capital of France.")]


class Place(BaseModel):
    """A place."""

    capital: bool
    language: str


@tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"sunny in {city}"


def model(max_tokens: int = 24) -> ChatOpenAI:
    """Return the model under test."""
    return ChatOpenAI(
        base_url=URL, api_key=KEY, model=MODEL, temperature=0, max_tokens=max_tokens, max_retries=0, stream_usage=True
    )


def invoke() -> Any:
    """One answer in one piece."""
    answer = model().invoke(QUESTION)
    return {
        "content": answer.content,
        "usage": answer.usage_metadata,
        "finish": answer.response_metadata.get("finish_reason"),
    }


def stream() -> Any:
    """The same in pieces, put together by langchain."""
    whole = None
    count = 0
    for chunk in model().stream(QUESTION):
        count += 1
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    return {"content": whole.content, "usage": getattr(whole, "usage_metadata", None), "count": count}


def batch() -> Any:
    """Three questions at once."""
    return [answer.content for answer in model().batch([QUESTION] * 3)]


def bind_tools() -> Any:
    """A call the model is made to make, and what the tool says to it."""
    bound = model(120).bind_tools([get_weather], tool_choice="get_weather")
    call = bound.invoke("How is the weather in Paris?").tool_calls[0]
    return {"name": call["name"], "args": call["args"], "result": get_weather.invoke(call).content}


def with_structured_output() -> Any:
    """An answer as a pydantic model, by either way langchain knows."""
    seen: dict[str, Any] = {}
    for method in ("json_schema", "function_calling"):
        place = model(200).with_structured_output(Place, method=method).invoke(QUESTION)
        assert isinstance(place, Place)
        seen[method] = place.model_dump()
    return seen


def embeddings() -> Any:
    """Vectors of documents and of a question."""
    embedder = OpenAIEmbeddings(base_url=URL, api_key=KEY, model=EMBEDDER, check_embedding_ctx_length=False)
    return [len(vector) for vector in (*embedder.embed_documents(["one", "two"]), embedder.embed_query("one?"))]


def main() -> None:
    """Do everything; what raises is told, not hidden."""
    play((invoke, stream, batch, bind_tools, with_structured_output, embeddings), default=str)


if __name__ == "__main__":
    main()
