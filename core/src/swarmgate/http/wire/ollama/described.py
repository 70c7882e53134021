"""What the OpenAPI document says of Ollama's API."""

from __future__ import annotations

from swarmgate.http.describing import Described, asking, holding, lines, looking
from swarmgate.http.wire.ollama.asking import ChatLinesBody, GenerateLinesBody
from swarmgate.http.wire.ollama.documents import ChatLine, EmbeddingDocument, EmbedDocument, GenerateLine
from swarmgate.http.wire.ollama.embedding import EmbedBody, EmbeddingsBody
from swarmgate.http.wire.ollama.errors import LineError
from swarmgate.http.wire.ollama.models import ApiVersion, RunningModels, ShowBody, ShownModel, TaggedModels

DESCRIBED = Described(
    paths={
        "/api/chat": asking(
            "ollama_chat",
            "Answer a chat in Ollama's words, in lines of JSON unless `stream` is false.",
            ChatLinesBody,
            lines(ChatLine, LineError),
            session=True,
            error=LineError,
        ),
        "/api/generate": asking(
            "ollama_generate",
            "Answer or continue a text in Ollama's words.",
            GenerateLinesBody,
            lines(GenerateLine, LineError),
            session=True,
            error=LineError,
        ),
        "/api/embed": asking("ollama_embed", "Embed texts.", EmbedBody, holding(EmbedDocument), error=LineError),
        "/api/embeddings": asking(
            "ollama_embeddings", "Embed one text.", EmbeddingsBody, holding(EmbeddingDocument), error=LineError
        ),
        "/api/show": asking("ollama_show", "Show a model.", ShowBody, holding(ShownModel), error=LineError),
        "/api/tags": looking(
            "ollama_tags",
            "List the models.",
            {200: ("All models.", holding(TaggedModels))},
            401,
            500,
            error=LineError,
        ),
        "/api/ps": looking(
            "ollama_ps",
            "List the models that are loaded.",
            {200: ("They are.", holding(RunningModels))},
            401,
            500,
            error=LineError,
        ),
        "/api/version": looking(
            "ollama_version",
            "Say which version of Ollama's API is understood.",
            {200: ("It is.", holding(ApiVersion))},
            401,
            500,
            error=LineError,
        ),
    },
    structs=(
        ChatLinesBody,
        ChatLine,
        GenerateLinesBody,
        GenerateLine,
        EmbedBody,
        EmbedDocument,
        EmbeddingsBody,
        EmbeddingDocument,
        ShowBody,
        ShownModel,
        TaggedModels,
        RunningModels,
        ApiVersion,
        LineError,
    ),
)
