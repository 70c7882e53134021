from __future__ import annotations

import pytest
from swarmgate.errors import PullError
from swarmgate.pulling.wanted import FromHere, FromHub, FromWeb, read_wanted

REPO = "org/Tiny-1.0-GGUF"


def read(text: str, *files: str) -> object:
    return read_wanted(text, files.__contains__, endpoint="https://hub.example")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (REPO, FromHub(REPO)),
        (f"{REPO}:latest", FromHub(REPO)),
        (f"{REPO}:Q4_K_M", FromHub(REPO, tag="Q4_K_M")),
        (f"hf.co/{REPO}:Q4_K_M", FromHub(REPO, tag="Q4_K_M")),
        (f"{REPO}/x.gguf", FromHub(REPO, "x.gguf")),
        (f"hf://{REPO}/sub/x.gguf@v2", FromHub(REPO, "sub/x.gguf", revision="v2")),
        (f"huggingface://{REPO}/x.gguf", FromHub(REPO, "x.gguf")),
        (f"https://huggingface.co/{REPO}", FromHub(REPO)),
        (f"https://huggingface.co/{REPO}/resolve/main/sub/x.gguf?download=true", FromHub(REPO, "sub/x.gguf")),
        (f"https://hub.example/{REPO}/blob/abc/x%20y.gguf", FromHub(REPO, "x y.gguf", revision="abc")),
        ("https://example.org/a/x.gguf?key=1", FromWeb("https://example.org/a/x.gguf?key=1", "x.gguf")),
        ("./x.gguf", FromHere("./x.gguf")),
        ("~/x.gguf", FromHere("~/x.gguf")),
        ("here/org/x.gguf", FromHere("here/org/x.gguf")),
    ],
)
def test_each_form_means_something(text: str, wanted: object) -> None:
    """Also with a tag, a revision, in LocalAI's and Ollama's spellings; a file that is here comes first."""
    assert read(text, "here/org/x.gguf") == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tiny", "neither a file here nor a model's name"),
        ("org/", "neither a file here nor a model's name"),
        ("org/../x.gguf", "neither a file here nor a model's name"),
        ("-x/y", "neither a file here nor a model's name"),
        (f"{REPO}/x.bin", "is no GGUF file: its name would end in .gguf"),
        (f"{REPO}/../../x.gguf", "leads elsewhere"),
        (f"{REPO}/.x.gguf", "leads elsewhere"),
        (f"https://huggingface.co/{REPO}/resolve/main/a%2F..%2F..%2Fx.gguf", "leads elsewhere"),
        ("https://example.org/x.zip", "is no GGUF file"),
        (f"{REPO}/x.gguf:Q4_0", "names both a file and 'Q4_0'"),
        ("ollama://tiny", "nothing is pulled from ollama://; expected ORG/REPO"),
        ("file:///etc/passwd", "nothing is pulled from file://"),
    ],
)
def test_what_means_nothing_is_refused(text: str, reason: str) -> None:
    """And what would lie elsewhere than in the folder."""
    with pytest.raises(PullError, match=reason.replace(".", r"\.")):
        read(text)
