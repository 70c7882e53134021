from __future__ import annotations

import pytest
from swarmgate.errors import PullError
from swarmgate.pulling.choosing import RepoFile, choose
from swarmgate.pulling.wanted import FromHub

FILES = tuple(
    RepoFile(path, 1, path)
    for path in (
        "README.md",
        "mmproj-F16.gguf",
        "tiny-Q2_K.gguf",
        "tiny-Q8_0.gguf",
        "tiny-Q4_0.gguf",
        "BF16/tiny-BF16-00002-of-00002.gguf",
        "BF16/tiny-BF16-00001-of-00002.gguf",
    )
)


def chosen(*, files: tuple[RepoFile, ...] = FILES, **wanted: str) -> list[str]:
    return [file.path for file in choose(files, FromHub("o/r", **wanted))]


def test_a_type_or_a_file_is_chosen() -> None:
    """Whatever the case of the type; with all its parts in order, whichever of them is named."""
    parts = ["BF16/tiny-BF16-00001-of-00002.gguf", "BF16/tiny-BF16-00002-of-00002.gguf"]
    assert chosen(tag="q8_0") == ["tiny-Q8_0.gguf"]
    assert chosen(tag="BF16") == chosen(file=parts[1]) == parts
    assert chosen(file="tiny-Q2_K.gguf") == ["tiny-Q2_K.gguf"]


def test_the_usual_type_is_chosen_if_none_is_named() -> None:
    """The first of the list that is there; where none is, the first of all."""
    assert chosen() == ["tiny-Q4_0.gguf"]
    assert chosen(files=(RepoFile("tiny-Q3_K_S.gguf", 1),)) == ["tiny-Q3_K_S.gguf"]
    assert chosen(files=(RepoFile("tiny.gguf", 1),)) == ["tiny.gguf"]


def test_a_word_of_the_name_does_as_well() -> None:
    """Where it is no type: repositories name their files as they like."""
    files = (RepoFile("tiny-chat.gguf", 1), RepoFile("tiny-code.gguf", 1))
    assert chosen(files=files, tag="code") == ["tiny-code.gguf"]


@pytest.mark.parametrize(
    ("files", "wanted", "reason"),
    [
        (FILES, {"tag": "Q6_K"}, "o/r has no Q6_K; there are: BF16/tiny"),
        (FILES, {"file": "other.gguf"}, "o/r has no 'other.gguf'; there are"),
        (FILES[:2], {}, "o/r has no GGUF file: look for a repository"),
        (FILES[:-1], {"tag": "BF16"}, "1 of the parts of 'BF16/tiny-BF16-00001-of-00002.gguf' are missing in o/r"),
        (
            (RepoFile("a-Q4_0.gguf", 1), RepoFile("b-Q4_0.gguf", 1)),
            {"tag": "Q4_0"},
            "several that may be meant: a-Q4_0.gguf, b-Q4_0.gguf; name one, as o/r/a-Q4_0.gguf",
        ),
        ((RepoFile("../x.gguf", 1), RepoFile("a/.x.gguf", 1), RepoFile("/x.gguf", 1)), {}, "has no GGUF file"),
    ],
)
def test_what_cannot_be_chosen_is_said(files: tuple[RepoFile, ...], wanted: dict[str, str], reason: str) -> None:
    """With what there is; a hub's names that lead elsewhere are passed over."""
    with pytest.raises(PullError, match=reason.replace(".", r"\.")):
        chosen(files=files, **wanted)
