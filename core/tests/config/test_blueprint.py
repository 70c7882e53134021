from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from swarmgate.config.blueprint import Blueprint
from swarmgate.errors import ConfigError, PluginError
from swarmgate.parts import BACKEND, BALANCER, DISCOVERY, LEDGER, TRANSPORT, WORKER, NoOptions, Options, Part
from swarmgate.plugins import Catalogue, Entry

Draw = Callable[..., Blueprint]
Faults = Callable[..., list[str]]


@asynccontextmanager
async def open_nothing(options: Any, context: Any) -> AsyncGenerator[Any]:
    yield None


MODEL = '[[backend]]\nuse = "llamacpp"\nmodel = "/m.gguf"\n'


def test_nothing_said_means_the_defaults(drawn: Draw) -> None:
    """Each slot takes the first of its defaults that is installed; the others stay empty."""
    blueprint = drawn(flags={"model": ("m.gguf",)})
    assert [(choice.slot.name, choice.part.name) for choice in blueprint.choices] == [
        ("ledger", "memory"),
        ("discovery", "static"),
        ("balancer", "least_loaded"),
        ("backend", "llamacpp"),
    ]
    assert blueprint.of(TRANSPORT) == ()
    assert blueprint.of(LEDGER)[0].origin == "default"
    assert blueprint.of(LEDGER)[0].distribution == "acme-memory 1.0"
    assert set(blueprint.origins.values()) == {"default"}


def test_flags_beat_variables_beat_near_files_beat_far_files(drawn: Draw) -> None:
    """The settings are merged key by key, and each remembers where it came from."""
    near = MODEL + '[gateway]\nname = "near"\nqueue_limit = 2\nlisten = "n:1"\nlog_level = "error"\n'
    far = '[gateway]\nname = "far"\nqueue_limit = 3\nlisten = "f:1"\nlog_level = "debug"\nping_seconds = 3\n'
    blueprint = drawn(
        near,
        far,
        environ={"GATEWAY_NAME": "environ", "GATEWAY_QUEUE_LIMIT": "7", "GATEWAY_LISTEN": ""},
        flags={"name": "flag"},
    )
    settings, origins = blueprint.settings, blueprint.origins
    assert (settings.name, origins["name"]) == ("flag", "--name")
    assert (settings.queue_limit, origins["queue_limit"]) == (7, "GATEWAY_QUEUE_LIMIT")
    assert (settings.listen, origins["listen"]) == ("n:1", "near.toml:7")
    assert (settings.log_level, origins["log_level"]) == ("error", "near.toml:8")
    assert (settings.ping_seconds, origins["ping_seconds"]) == (3.0, "far.toml:6")
    assert (settings.drain_seconds, origins["drain_seconds"]) == (10.0, "default")


def test_a_slot_in_a_nearer_file_replaces_the_slot_whole(drawn: Draw) -> None:
    """Options and further tables of the farther file are gone."""
    far = '[balancer]\nuse = "least_loaded"\nseed = 1\n' + MODEL + MODEL
    blueprint = drawn(MODEL + '[balancer]\nuse = "least_loaded"\n', far)
    assert blueprint.of(BALANCER)[0].options == type(blueprint.of(BALANCER)[0].options)()
    assert len(blueprint.of(BACKEND)) == 1
    assert blueprint.of(BACKEND)[0].origin == "near.toml:1"
    assert blueprint.of(BACKEND)[0].origins["model"] == "near.toml:3"


def test_models_named_beside_the_file_replace_its_backends(drawn: Draw) -> None:
    """--model comes before GATEWAY_MODEL, that before the file; each is a backend of its own."""
    by_variable = drawn(MODEL, environ={"GATEWAY_MODEL": "a.gguf, b.gguf,"})
    by_flag = drawn(MODEL, environ={"GATEWAY_MODEL": "a.gguf"}, flags={"model": ("c,d.gguf",)})
    models = [(choice.options.model, choice.origins["model"]) for choice in by_variable.of(BACKEND)]  # type: ignore[attr-defined]
    assert models == [("a.gguf", "GATEWAY_MODEL"), ("b.gguf", "GATEWAY_MODEL")]
    (choice,) = by_flag.of(BACKEND)
    assert (choice.options.model, choice.origin) == ("c,d.gguf", "--model")  # type: ignore[attr-defined]


def test_a_part_chosen_by_name_keeps_the_options_meant_for_it(drawn: Draw) -> None:
    """The file's options stand if it chose the same part, and are left out if it chose another."""
    text = MODEL + '[balancer]\nuse = "least_loaded"\nseed = 7\n'
    same = drawn(text, environ={"GATEWAY_BALANCER": "least_loaded"}).of(BALANCER)[0]
    other = drawn(text, environ={"GATEWAY_BALANCER": "least_loaded"}, flags={"balancer": "first_free"}).of(BALANCER)[0]
    assert (same.options.seed, same.origin, same.origins["seed"]) == (7, "GATEWAY_BALANCER", "near.toml:6")  # type: ignore[attr-defined]
    assert (other.part.name, other.origin) == ("first_free", "--balancer")


def test_a_parts_own_variables_count_when_it_is_chosen(drawn: Draw) -> None:
    """They win over the file, are converted, and a list is split on commas; other parts' are not looked at."""
    environ = {"WORKERS": "a:1, b:2", "MODEL_SIZE": "7", "MODEL_FILE": "v.gguf"}
    blueprint = drawn(MODEL + '[[discovery]]\nuse = "static"\nworkers = ["c:3"]\n', environ=environ)
    discovery, backend = blueprint.of(DISCOVERY)[0], blueprint.of(BACKEND)[0]
    assert (discovery.options.workers, discovery.origins["workers"]) == (["a:1", "b:2"], "WORKERS")  # type: ignore[attr-defined]
    assert (backend.options.context_size, backend.options.model) == (7, "v.gguf")  # type: ignore[attr-defined]
    echo = drawn('[[backend]]\nuse = "echo"\n', environ={"MODEL_SIZE": "nonsense"})
    assert echo.of(BACKEND)[0].part.name == "echo"


def test_a_models_flag_beats_its_parts_variable(drawn: Draw) -> None:
    """What was said to the gateway by name is nearer than what a part happens to find."""
    (choice,) = drawn(environ={"MODEL_FILE": "v.gguf"}, flags={"model": ("f.gguf",)}).of(BACKEND)
    assert choice.options.model == "f.gguf"  # type: ignore[attr-defined]


def test_a_slot_of_many_may_be_emptied(drawn: Draw) -> None:
    """An empty list says: none, not even the default."""
    assert drawn("discovery = []\n" + MODEL).of(DISCOVERY) == ()


def test_a_slot_of_many_may_be_written_as_one_table(drawn: Draw) -> None:
    """[backend] is one backend."""
    assert len(drawn(MODEL.replace("[[backend]]", "[backend]")).of(BACKEND)) == 1


def test_every_fault_is_told_at_once_sorted_by_line(faults: Faults) -> None:
    """One run finds them all, in the order of the file, each with its remedy."""
    text = """\
[gateway]
listen = "nowhere"
nam = "alpha"
queue_limit = -1
ping_seconds = "often"
[balancer]
use = "least_loded"
[balncer]
[[discovery]]
use = "static"
workers = [
  "10.0.0.5:50052",
  4,
]
[[backend]]
use = "llamacpp"
context_size = "big"
engines = [{threads = 1}, {threads = 2, nota = ""}]
[[backend]]
model = "x"
[[ledger]]
use = "memory"
[[ledger]]
use = "memory"
"""
    assert faults(text) == [
        "near.toml:2: listen: expected something like 127.0.0.1:8080, found 'nowhere'",
        "near.toml:3: unknown option 'nam'; did you mean 'name'?",
        "near.toml:4: queue_limit: expected a whole number >= 0, found -1",
        "near.toml:5: ping_seconds: expected a number, found 'often'",
        "near.toml:7: no balancer is called 'least_loded'; did you mean 'least_loaded'?",
        "near.toml:8: unknown table [balncer]; did you mean 'balancer'?",
        "near.toml:13: workers[1]: expected text in quotes, found 4",
        "near.toml:15: option 'model' is required: a path",
        "near.toml:17: context_size: expected a whole number, found 'big'",
        "near.toml:18: engines[1]: unknown option 'nota'",
        'near.toml:19: say which backend: use = "..."; installed: echo, llamacpp',
        "near.toml:23: only one ledger can be used; write [ledger], not [[ledger]]",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gateway = 3", "near.toml:1: gateway is one table; write [gateway]"),
        ("[[gateway]]", "near.toml:1: gateway is one table; write [gateway]"),
        ("backend = 3", 'near.toml:1: backend has to be a table; write [[backend]] and use = "..." below it'),
        ("backend = [3]", 'near.toml:1: backend has to be a table; write [[backend]] and use = "..." below it'),
        ("balancer = 'x'", 'near.toml:1: balancer has to be a table; write [balancer] and use = "..." below it'),
        ("backend = []", "near.toml:1: there has to be a backend; leave this out for the default"),
        ("listen = 'x:1'", "near.toml:1: unknown option 'listen'; it belongs below [gateway]"),
        ("zzz = 1", "near.toml:1: unknown option 'zzz'; known: backend, balancer, discovery, gateway, ledger,"),
        ("[[backend]]\nuse = 3", 'near.toml:2: say which backend: use = "..."; installed: echo, llamacpp'),
        ("x = ", "near.toml:1: this is not TOML: invalid value"),
        ("x = 1\nx = 2", "near.toml:2: this is not TOML: cannot overwrite a value"),
        ("x = " + "9" * 5000, "near.toml: this is not TOML: "),
        ("x = " + "[" * 5000, "near.toml: values are nested too deeply"),
        (MODEL + "mode = 'x'", "near.toml:4: mode: expected one of slow, fast, found 'x'"),
        (MODEL + "weights = [1, nan]", "near.toml:4: weights: expected a number, found a list"),
        (MODEL + "low = 12", "near.toml:4: low must not be above high, which is 10 (token )"),
        (MODEL + "token = 3", "near.toml:4: token: expected text in quotes, found a whole number"),
        (MODEL + "context_size = 1979-05-27", "near.toml:4: context_size: expected a whole number, found a date"),
        (MODEL + "[gateway]\nlisten = 'x:65536'", "near.toml:5: listen: expected something like 127.0.0.1:8080"),
        (MODEL + "[gateway]\nname = ''", "near.toml:5: name: expected text in quotes of length >= 1, found ''"),
    ],
)  # fmt: skip
def test_a_fault_says_where_and_what(faults: Faults, text: str, expected: str) -> None:
    """Whatever is wrong, there is a line that says so."""
    assert any(line.startswith(expected) for line in faults(text)), faults(text)


def test_what_comes_from_no_file_is_blamed_on_its_name(faults: Faults) -> None:
    """A variable or flag is named as it was written, after all faults in files."""
    environ = {"GATEWAY_QUEUE_LIMIT": "many", "GATEWAY_LEDGER": "etcd", "WORKERS": "a", "MODEL_SIZE": "0"}
    assert faults("[gateway]\nnam = 1\n" + MODEL, environ=environ, flags={"listen": "here", "balancer": "x"}) == [
        "near.toml:2: unknown option 'nam'; did you mean 'name'?",
        "--listen: expected something like 127.0.0.1:8080, found 'here'",
        "GATEWAY_QUEUE_LIMIT: expected a whole number, found 'many'",
        "GATEWAY_LEDGER: no ledger is called 'etcd'; installed: memory",
        "--balancer: no balancer is called 'x'; installed: first_free, least_loaded",
        "MODEL_SIZE: expected a whole number >= 1, found '0'",
    ]


def test_a_default_that_lacks_something_says_whose_option_it_is(faults: Faults) -> None:
    """There is no line to point to, so the part is named."""
    assert faults("") == ["backend 'llamacpp' (the default): option 'model' is required: a path"]


def test_a_broken_default_is_not_replaced_quietly(catalogue: Catalogue, faults: Faults) -> None:
    """Nobody wants the echo to answer because the engine's plugin would not load."""
    del catalogue.entries["backend", "llamacpp"]
    catalogue.broken["llamacpp"] = PluginError("acme-llamacpp 1.0: ImportError: libgomp")
    assert faults("") == ["backend 'llamacpp' (the default): cannot be used: acme-llamacpp 1.0: ImportError: libgomp"]


def test_a_needed_slot_that_nothing_fills_is_a_fault(catalogue: Catalogue, faults: Faults) -> None:
    """The remedy names what to install."""
    del catalogue.entries["ledger", "memory"]
    assert faults(MODEL) == ["ledger: none is chosen and no default is installed; install one of: memory"]


def test_an_unreadable_file_does_not_breed_further_faults(faults: Faults) -> None:
    """What it would have said is not known, so that nothing is said about what seems to be missing."""
    assert faults("x =", "[gateway]\nnam = 1") == [
        "near.toml:1: this is not TOML: invalid value",
        "far.toml:2: unknown option 'nam'; did you mean 'name'?",
    ]


def test_keys_in_a_file_join_the_others(drawn: Draw) -> None:
    """Whoever looks for keys has to look in one place only."""
    blueprint = drawn(
        '[gateway]\napi_keys = ["a"]\napi_key_file = "keys"\n' + MODEL, read={"keys": ("b", "c")}.__getitem__
    )
    assert blueprint.settings.api_keys == ("a", "b", "c")


def test_a_bad_key_file_is_a_fault_where_it_is_named(faults: Faults) -> None:
    """In the file, or in the variable that names it."""

    def read(file: str) -> tuple[str, ...]:
        raise ConfigError("there is no such file")

    text = '[gateway]\napi_key_file = "keys"\n' + MODEL
    assert faults(text, read=read) == ["near.toml:2: api_key_file 'keys': there is no such file"]
    assert faults(MODEL, read=read, environ={"GATEWAY_API_KEY_FILE": "k"}) == [
        "GATEWAY_API_KEY_FILE: api_key_file 'k': there is no such file"
    ]


def test_a_secret_is_never_in_a_message(faults: Faults) -> None:
    """Neither what the value is, nor what a part's own check says about it."""
    secret = "hunter2"
    text = f'[gateway]\napi_keys = "{secret}"\n{MODEL}token = "{secret}"\nlow = 11\n'
    lines = faults(text, environ={})
    assert lines == [
        "near.toml:2: api_keys: expected a list, found text",
        "near.toml:7: low must not be above high, which is 10 (token ***)",
    ]
    lines = faults(MODEL + f'token = ["{secret}"]', environ={})
    assert lines == ["near.toml:4: token: expected text in quotes, found a list"]


def test_options_that_cannot_be_read_are_their_authors_fault(catalogue: Catalogue, faults: Faults) -> None:
    """A type msgspec does not know is blamed on the distribution that brings it."""

    class Odd(Options, frozen=True):
        either: list[int] | tuple[str, ...] = ()  # two kinds of list: msgspec cannot tell them apart

    part: Part[Any, Any] = Part("odd", "For a test.", Odd, open_nothing)
    catalogue.entries["balancer", "odd"] = Entry(BALANCER, part, "odd", "acme-odd", "0.1")
    (line,) = faults(MODEL + '[balancer]\nuse = "odd"\neither = [1]\n')
    assert line.startswith("near.toml:4: acme-odd 0.1: the options of 'odd' cannot be read: TypeError: ")


def test_what_another_command_opens_is_checked_but_kept_apart(
    catalogue: Catalogue, drawn: Draw, faults: Faults
) -> None:
    """A [worker] table is read, but `gateway run` does not open it; no variable chooses it."""
    part: Part[Any, Any] = Part("lend", "For a test.", NoOptions, open_nothing)
    catalogue.entries["worker", "lend"] = Entry(WORKER, part, "lend", "acme-lend", "0.1")
    blueprint = drawn(MODEL + '[worker]\nuse = "lend"\n', environ={"GATEWAY_WORKER": "x"})
    assert [choice.part.name for choice in blueprint.opened_by("worker")] == ["lend"]
    assert "lend" not in [choice.part.name for choice in blueprint.opened_by("run")]
    assert faults(MODEL + '[worker]\nuse = "lent"\n') == [
        "near.toml:5: no worker is called 'lent'; did you mean 'lend'?"
    ]


def with_peers(catalogue: Catalogue) -> None:
    """Install a part that asks other gateways."""

    class PeerOptions(Options, frozen=True):
        url: str
        api_key_file: str | None = None

    part = Part("openai", "Asks.", PeerOptions, open_nothing, loads=False)
    catalogue.entries[BACKEND.name, "openai"] = Entry(BACKEND, part, "openai", "acme-openai", "1.0")


def test_nodes_are_backends_beside_the_others(catalogue: Catalogue, drawn: Draw) -> None:
    """--node comes before GATEWAY_NODES; each URL counts once, and all are shown the key for peers."""
    with_peers(catalogue)
    environ = {"GATEWAY_NODES": "http://a, http://b,http://a", "GATEWAY_PEER_API_KEY_FILE": "k"}
    by_variable = drawn(MODEL, environ=environ).of(BACKEND)
    assert [choice.part.name for choice in by_variable] == ["llamacpp", "openai", "openai"]
    assert [choice.options.url for choice in by_variable[1:]] == ["http://a", "http://b"]  # type: ignore[attr-defined]
    assert by_variable[1].options.api_key_file == "k"  # type: ignore[attr-defined]
    assert by_variable[1].origin == "GATEWAY_NODES"
    by_flag = drawn(MODEL, environ=environ, flags={"node": ("http://c",)}).of(BACKEND)
    assert [choice.origin for choice in by_flag] == ["near.toml:1", "--node"]


def test_without_local_models_only_what_asks_elsewhere_is_chosen(catalogue: Catalogue, drawn: Draw) -> None:
    """Neither the file's models nor the default are opened, and none at all is no fault."""
    with_peers(catalogue)
    text = MODEL + '[[backend]]\nuse = "openai"\nurl = "http://d"\n'
    choices = drawn(text, flags={"node": ("http://c",)}, local=False).of(BACKEND)
    assert [choice.options.url for choice in choices] == ["http://d", "http://c"]  # type: ignore[attr-defined]
    assert drawn(environ={"GATEWAY_MODEL": "a.gguf"}, local=False).of(BACKEND) == ()


def test_a_federated_gateway_has_a_part_for_its_peers(
    catalogue: Catalogue, drawn: Draw, faults: Callable[..., list[str]]
) -> None:
    """The one that peer_backend names; it need not have backends of its own, but the part has to be there."""
    assert drawn(MODEL).peer is None
    federated = "[gateway]\nfederated = true\n"
    assert faults("backend = []\n" + federated) == [
        "peer_backend (default): no backend is called 'openai'; installed: echo, llamacpp"
    ]
    with_peers(catalogue)
    blueprint = drawn("backend = []\n" + federated)
    assert (blueprint.peer and blueprint.peer.name, blueprint.of(BACKEND)) == ("openai", ())
    assert faults("backend = []\n") == ["near.toml:1: there has to be a backend; leave this out for the default"]


def test_a_shadow_is_a_balancer_with_its_own_defaults(drawn: Draw, faults: Faults) -> None:
    """It fills no slot, does not share the options of the one in charge, and an unknown one is named at its line."""
    text = MODEL + '[balancer]\nuse = "least_loaded"\nseed = 7\n[gateway]\nshadow = "least_loaded"\n'
    blueprint = drawn(text)
    assert blueprint.shadow is not None
    assert (blueprint.shadow.part.name, blueprint.shadow.options.seed) == ("least_loaded", None)  # type: ignore[attr-defined]
    assert blueprint.shadow.origin == "near.toml:8"
    assert len(blueprint.of(BALANCER)) == 1
    assert drawn(MODEL).shadow is None
    (fault,) = faults(MODEL + '[gateway]\nshadow = "least_loded"\n')
    assert fault.startswith("near.toml:5: shadow: no balancer is called 'least_loded'")
