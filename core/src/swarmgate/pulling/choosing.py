"""Which files of a repository make up the model that is wanted.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from swarmgate.errors import PullError
from swarmgate.modelfiles import ENDING, Found, ModelFile, gather, part_of
from swarmgate.pulling.wanted import FromHub

#: The types of weights that are taken if none is asked for, the first one that is there; llama.cpp begins alike.
USUAL = ("Q4_K_M", "Q4_K_S", "Q4_0", "Q5_K_M", "Q8_0")


class RepoFile(NamedTuple):
    """A file of a repository: its path there, its size in bytes, and its SHA-256 in hex, empty if that is not known."""

    path: str
    size: int
    sha256: str = ""


def choose(files: Iterable[RepoFile], wanted: FromHub) -> tuple[RepoFile, ...]:
    """Return the parts of the model that is *wanted*, in order.

    Raises:
        PullError: there is no such model, or several might be meant, or parts of it are missing.

    """
    sound = {file.path: file for file in files if _sound(file.path)}
    models = gather(Found(file.path, file.size, 0) for file in sound.values())
    if not models:
        raise PullError(f"{wanted.repo} has no GGUF file: look for a repository of this model whose name ends in -GGUF")
    model = _file(models, wanted) if wanted.file else _typed(models, wanted)
    if model.missing:
        raise PullError(f"{model.missing} of the parts of {model.name!r} are missing in {wanted.repo}")
    return tuple(sound[part] for part in model.parts)


def _sound(path: str) -> bool:
    """Return whether *path*, a stranger's words, stays within the folder it is put in."""
    return path.endswith(ENDING) and all(
        step and not step.startswith(".") and "\\" not in step and step.isprintable() for step in path.split("/")
    )


def _file(models: Sequence[ModelFile], wanted: FromHub) -> ModelFile:
    """Return the model that has the file wanted, whichever of its parts that is."""
    part = part_of(wanted.file)
    name = part.named(1) if part else wanted.file
    for model in models:
        if model.name == name:
            return model
    raise PullError(f"{wanted.repo} has no {wanted.file!r}; there are: {_names(models)}")


def _typed(models: Sequence[ModelFile], wanted: FromHub) -> ModelFile:
    if wanted.tag:
        tag = wanted.tag.upper()
        meant = [model for model in models if model.quantization == tag]
        meant = meant or [model for model in models if tag in model.plain.upper()]
        if not meant:
            raise PullError(f"{wanted.repo} has no {wanted.tag}; there are: {_names(models)}")
    else:
        first = (kind for kind in USUAL if any(model.quantization == kind for model in models))
        kind = next(first, models[0].quantization)
        meant = [model for model in models if model.quantization == kind]
    if len(meant) > 1:
        raise PullError(
            f"{wanted.repo} has several that may be meant: {_names(meant)}; name one, as {wanted.repo}/{meant[0].name}"
        )
    return meant[0]


def _names(models: Sequence[ModelFile]) -> str:
    return ", ".join(model.name for model in models)
