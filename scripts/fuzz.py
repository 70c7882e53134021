"""Throw bytes at whatever reads a stranger's: a bounded run of atheris.  Usage: make fuzz ARGS="--seconds 60 token".

Each reader has the errors that it says it raises; anything else that comes out of it, and whatever takes more than
a few seconds or a gigabyte, is a finding: the run ends with status 1, and the bytes that did it lie in a file.
Readers that only look at what was sealed, signed or summed get bytes that are, so that what lies behind is reached.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import base58
import msgspec

#: Whose readers are tried besides the core's.
PLUGINS = ("swarmgate_discovery_mdns", "swarmgate_transport_libp2p", "swarmgate_transport_tls")


class Target(NamedTuple):
    """One reader: what is done with the bytes, which errors it may raise, and examples to begin with."""

    read: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]


def targets() -> Mapping[str, Target]:
    """Return every reader by name; imports them."""
    from swarmgate.errors import ConfigError, WireError
    from swarmgate.swarm import certificates, entries, gossip, keys, revoked, token
    from swarmgate.swarm.facts import facts_of
    from swarmgate.swarm.membership import invite, join
    from swarmgate.swarm.peerids import public_key_of
    from swarmgate.testing import an_offer
    from swarmgate_discovery_mdns.txt import from_txt, to_txt

    made = token.Token(bytes(32), ("/ip4/203.0.113.7/tcp/1/p2p/x",))
    owner = join(made, bytes([1]) * 32)
    ticket = invite(made, "node", days=3650, key=bytes([2]) * 32, now=owner.clock())
    node = join(ticket, b"")
    offer = entries.Entry(kind="offer", offer=an_offer("n", node=node.id, lifetime=30.0, labels={"a": "b"}))
    entry, end = entries.sign_entry(node, offer), revoked.revoke(owner, node.id)
    body = msgspec.msgpack.decode(entry)[0]
    spread = next(iter(gossip.parcels([gossip.Aged(age=0.0, data=entry)])))
    message = gossip.write(owner, spread)

    def as_text(read: Callable[[str], object]) -> Callable[[bytes], object]:
        return lambda data: read(data.decode("latin-1"))

    def packed(text: str) -> bytes:
        return zlib.decompress(base58.b58decode_check(text[4:])[1:])

    def summed(head: str) -> Callable[[bytes], object]:
        def read(data: bytes) -> object:
            text = head + base58.b58encode_check(b"\x01" + zlib.compress(data, 1)).decode()
            facts = facts_of(found := token.read_pass(text))
            return facts, join(found, bytes([3]) * 32)

        return read

    def patched(data: bytes) -> object:
        """Read an invite in which some keys and certificates, by the bits of the first byte, are other bytes."""
        parts, rest = ("key", "certificate", "authority", "rendezvous", "sealing"), data[1:]
        chosen = [part for bit, part in enumerate(parts) if data[:1] and data[0] >> bit & 1]
        size = -(-len(rest) // max(len(chosen), 1))
        changes = {part: rest[at * size : (at + 1) * size] for at, part in enumerate(chosen)}
        found = token.read_pass(msgspec.structs.replace(ticket, **changes).text)
        return facts_of(found), join(found, bytes([3]) * 32)

    def signed(data: bytes) -> object:
        parts = [data, node.certificate, node.sign(b"swarmgate entry 1\0" + data)]
        return entries.open_entry(owner, msgspec.msgpack.encode(parts))

    def sealed(data: bytes) -> object:
        return gossip.read(owner, owner.seal(data, purpose=b"gossip"))

    wire, config = (WireError,), (ConfigError,)
    return {
        "text": Target(as_text(token.read_pass), config, (made.text.encode(), ticket.text.encode())),
        "token": Target(summed("sgt_"), config, (packed(made.text),)),
        "invite": Target(summed("sgi_"), config, (packed(ticket.text),)),
        "patched": Target(patched, config, (b"\0",)),
        "peer": Target(as_text(public_key_of), wire, (owner.id.encode(),)),
        "certificate": Target(owner.examine, wire, (owner.certificate, node.certificate)),
        "authority": Target(certificates.authority_key, wire, (owner.authority,)),
        "seal": Target(partial(keys.unseal, owner.sealing, purpose=b"x"), wire, (owner.seal(b"y", purpose=b"x"),)),
        "entry": Target(partial(entries.open_entry, owner), wire, (entry, end)),
        "signed": Target(signed, wire, (body,)),
        "gossip": Target(partial(gossip.read, owner), wire, (message,)),
        "sealed": Target(sealed, wire, (owner.unseal(message, purpose=b"gossip"),)),
        "revocations": Target(revoked.decode, wire, (revoked.encode((end,)),)),
        "txt": Target(from_txt, wire, (to_txt(message),)),
    }


def carried() -> Mapping[str, Target]:
    """Return the readers of the transports by name; imports them."""
    from swarmgate.errors import WireError
    from swarmgate.frames import encode_frame
    from swarmgate.testing import a_swarm
    from swarmgate_transport_libp2p.child import headers, hello
    from swarmgate_transport_libp2p.child.mended.frames import FrameSplitter, header
    from swarmgate_transport_tls.child import words

    owner, node = a_swarm("owner", "node")
    said = owner.unseal(hello.write(node, ("/ip4/203.0.113.7/tcp/1",))[hello.HEAD_BYTES :], purpose=b"hello")

    def greeted(data: bytes) -> object:
        """Read what a member with any contents may have sealed as its hello."""
        return hello.read(owner, owner.seal(data, purpose=b"hello"), node.id)

    def asked(data: bytes) -> object:
        at = headers.QUESTION_BYTES
        head = data[:at].ljust(at, b"\0")
        return headers.read_question(head, data[at : at + headers.question_length(head)])

    def split(make: Callable[[], Any]) -> Callable[[bytes], object]:
        return lambda data: list(make().feed(data))

    wire = (WireError,)
    yamux = (header(0, 1, 3, 4) + b"abcd", header(2, 1, 0, 7))
    tls_hello = encode_frame(words.Hello(1, "tunnel", "gateway", bytes(16)))
    return {
        "hello": Target(greeted, wire, (said,)),
        "question": Target(asked, wire, (headers.ask(headers.Question("llama-rpc", carries=True)),)),
        "yamux": Target(split(FrameSplitter), wire, yamux),
        "tls_hello": Target(split(words.hellos), wire, (tls_hello,)),
        "tls_control": Target(split(words.control_words), wire, (encode_frame(words.Bye("x")),)),
    }


def fuzz(name: str, seconds: int, corpus: Path) -> None:
    """Throw bytes at the reader called *name*; ends this process."""
    atheris: Any = import_module("atheris")  # not installed where nobody fuzzes
    with atheris.instrument_imports(include=["swarmgate", *PLUGINS, "base58"]):
        target = {**targets(), **carried()}[name]
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed{number}").write_bytes(seed)
        target.read(seed)  # an example that is refused is none

    def once(data: bytes) -> None:
        with suppress(*target.errors):
            target.read(data)

    limits = ["-max_len=9000", "-timeout=5", "-rss_limit_mb=1024", f"-max_total_time={seconds}"]
    atheris.Setup([sys.argv[0], str(corpus), f"-artifact_prefix={name}-", *limits, "-verbosity=0"], once)
    atheris.Fuzz()


def main() -> int:
    """Run the readers asked for, each in a process of its own; return the status."""
    parser = argparse.ArgumentParser(description="Throw bytes at whatever reads a stranger's.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="the readers; all if none is named")
    parser.add_argument("--seconds", type=int, default=10, help="how long each is tried")
    parser.add_argument("--inside", metavar="FOLDER", help=argparse.SUPPRESS)
    given: Any = parser.parse_args()
    if given.inside:
        fuzz(given.names[0], given.seconds, Path(given.inside))
        return 0
    known = {**targets(), **carried()}
    if unknown := set(given.names) - known.keys():
        parser.error(f"no reader is called {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    failed: list[str] = []
    for name in given.names or known:
        with tempfile.TemporaryDirectory(prefix="swarmgate-fuzz-") as corpus:
            command = [sys.executable, __file__, name, "--seconds", str(given.seconds), "--inside", corpus]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            tried = sum(1 for _ in Path(corpus).iterdir())
        print(f"{name:12} {'found something' if ran.returncode else 'stood'}; {tried} kinds of input", flush=True)
        if ran.returncode:
            failed.append(name)
            print(ran.stdout + ran.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
