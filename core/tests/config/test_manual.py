from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from swarmgate.config.blueprint import Blueprint
from swarmgate.config.manual import as_toml, facts, markdown, option_facts, template, toml_value
from swarmgate.plugins import Catalogue, load

REFERENCE = Path(__file__).parents[3] / "docs" / "config.md"
FIRST_PARTY = "swarmgate-"


def test_the_reference_is_current() -> None:
    """docs/config.md says what the first-party plugins understand today."""
    catalogue = load()
    assert not catalogue.broken
    written = markdown(entry for entry in catalogue if entry.distribution.startswith(FIRST_PARTY))
    assert REFERENCE.read_text(encoding="utf-8") == written, "run `gateway config manual > docs/config.md`"


def test_what_is_shown_is_toml_with_origins(drawn: Callable[..., Blueprint]) -> None:
    """It could be read again, and says of each value where it came from; what is not set is said so."""
    text = '[gateway]\napi_keys = ["k1"]\n[[backend]]\nuse = "llamacpp"\nmodel = "/m"\ntoken = "t1"\n'
    text += "engines = [{threads = 2}]\n"
    shown = as_toml(facts(drawn(text, environ={"GATEWAY_NAME": "n\x7f1"})))
    document = tomllib.loads(shown)
    assert document["gateway"]["name"] == "n\x7f1"
    assert document["gateway"]["api_keys"] == "***"
    assert document["backend"] == [
        {
            "use": "llamacpp",
            "model": "/m",
            "context_size": 2048,
            "token": "***",
            "engines": [{"threads": 2, "note": ""}],
            "mode": "slow",
            "low": 0,
            "high": 10,
        }
    ]
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert 'model = "/m" # near.toml:5' in lines
    assert 'use = "llamacpp" # near.toml:3' in lines
    assert "context_size = 2048 # default" in lines
    assert "# weights is not set" in lines
    assert "[[backend]] # acme-llamacpp 1.0" in lines
    assert any(line.endswith("# GATEWAY_NAME") for line in lines)
    assert "k1" not in shown
    assert "t1" not in shown


def test_a_secret_that_is_not_set_is_not_masked(drawn: Callable[..., Blueprint]) -> None:
    """Whether there is one is no secret."""
    shown = facts(drawn(flags={"model": ("m",)}))
    assert shown["settings"]["api_keys"] == {"value": (), "origin": "default"}


def test_the_template_changes_nothing(catalogue: Catalogue) -> None:
    """As written, it says nothing at all."""
    assert tomllib.loads(template(catalogue)) == {"gateway": {}}


def test_each_line_of_the_template_is_toml_without_its_mark(catalogue: Catalogue) -> None:
    """Whoever takes a # away gets a value of the right kind."""
    settings = template(catalogue).split("\n\n\n")[0]
    bare = "\n".join(line.removeprefix("#") for line in settings.splitlines() if not line.startswith("# "))
    assert tomllib.loads(bare)["gateway"]["queue_limit"] == 64
    for block in template(catalogue).split("\n\n")[1:]:
        lines = [line.removeprefix("#") for line in block.splitlines() if not line.startswith("# ")]
        assert isinstance(tomllib.loads("\n".join(lines)), dict)


def test_an_option_is_described_for_programs(catalogue: Catalogue) -> None:
    """Name, type, default, variable, help and whether it is secret."""
    part = catalogue.entries["backend", "llamacpp"].part
    described = {each["name"]: each for each in option_facts(part.options, part.environ)}
    assert described["model"] == {
        "name": "model",
        "type": "a path",
        "required": True,
        "default": None,
        "default_text": "required",
        "variable": "MODEL_FILE",
        "secret": False,
        "help": "The GGUF file to serve.",
    }
    assert described["token"]["secret"]
    assert described["weights"]["default_text"] == "not set"


JSONISH = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSONISH)
def test_every_value_is_written_as_toml_reads_it(value: Any) -> None:
    """Numbers, infinities, controls, lists and tables come back as they were."""
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value


def test_what_is_not_set_is_left_out_of_a_table() -> None:
    """TOML has no word for nothing."""
    assert toml_value({"a": None, "b": 1}) == '{ "b" = 1 }'


def test_signs_of_markdown_do_not_break_its_tables(catalogue: Catalogue) -> None:
    """Each row has the four columns."""
    rows = [line for line in markdown(catalogue).splitlines() if line.startswith("| `")]
    assert rows
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}


def test_what_a_swarm_changes_is_said(catalogue: Catalogue) -> None:
    """In the reference for all slots that differ, in the template only of what is installed."""
    for name in ("mdns", "dht"):
        static = catalogue.entries["discovery", "static"]
        part = replace(static.part, name=name, environ={})
        catalogue.entries["discovery", name] = replace(static, part=part)
    written = " ".join(template(catalogue).replace("#", "").split())
    assert "'static' is used. In a swarm: 'static', 'mdns', 'dht'. There may be" in written
    assert written.count("In a swarm: ") == 1
    text = markdown(catalogue)
    assert "In a swarm it is every one that is installed of: `static`, `mdns`, `dht`." in text
    assert "In a swarm it is the first that is installed of: `gossip`, `memory`." in text
