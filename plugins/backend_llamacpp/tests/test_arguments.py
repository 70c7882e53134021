from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate_backend_llamacpp.options import LlamaCppRpcOptions
from swarmgate_backend_llamacpp.rpc.arguments import Arguments, read


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ("", Arguments()),
        ("-H 10.0.0.5 -p 50053 -m 4096", Arguments(listen="10.0.0.5:50053", memory_mb=4096)),
        ("--host=10.0.0.5 --port 1 --mem=7", Arguments(listen="10.0.0.5:1", memory_mb=7)),
        ("-p 50053", Arguments(listen="127.0.0.1:50053")),
        ("-H 0.0.0.0", Arguments(listen="0.0.0.0:50052")),
        ("-H fd00::5 -p 1", Arguments(listen="[fd00::5]:1")),
        ("-t 4 -d CUDA0,CUDA1 -c", Arguments(threads=4, device="CUDA0,CUDA1", tensor_cache=True)),
    ],
)
def test_the_words_of_rpc_server_are_understood(text: str, read_as: Arguments) -> None:
    """Each of its arguments has its option, with llama.cpp's defaults for what is missing of an address."""
    assert read(text) == read_as


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-m 0", "-m 0 lends nothing; leave -m out to lend all that is free"),
        ("-t 0", "-t 0 computes nothing"),
        ("-p 65536", "expected a whole number up to 65535 after -p, found '65536'"),
        ("-m -5", "expected a whole number"),
        ("-m 1e3", "found '1e3'"),
        ("-x 3", "unknown argument '-x'; known are -H HOST, -p PORT"),
        ("50052", "unknown argument '50052'"),
        ("-H", "argument '-H' needs a value"),
        ("-H -p 3", "argument '-H' needs a value"),
        ("-H '", "cannot be read as arguments: no closing quotation"),
    ],
)
def test_what_cannot_be_is_named(text: str, message: str) -> None:
    """The error names the argument and what would be right."""
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        read(text)


@given(st.text(max_size=60))
def test_nothing_else_ever_escapes(text: str) -> None:
    """Any text is read or refused."""
    with contextlib.suppress(ValueError):
        read(text)


def test_arguments_go_before_options() -> None:
    """What both say, the arguments decide; what they leave out, the options."""
    options = LlamaCppRpcOptions(listen="1.2.3.4:5", memory_mb=9, threads=3, llama_cpp_args="-m 7 -p 6")
    resolved = options.resolved()
    assert (resolved.listen, resolved.memory_mb, resolved.threads) == ("127.0.0.1:6", 7, 3)


def test_options_refuse_what_cannot_be_read() -> None:
    """A fault in the arguments is one of the configuration, found before anything starts."""
    with pytest.raises(msgspec.ValidationError, match="llama_cpp_args: -m 0 lends nothing"):
        msgspec.convert({"llama_cpp_args": "-m 0"}, LlamaCppRpcOptions)
