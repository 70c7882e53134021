"""A stranger on the network of a running swarm: finds that something listens, and nothing more."""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from namespaces import Lan, done_in, lan, why_not
from swarm_members import Members, members
from swarmgate.swarm.token import Token, read_pass

_WHY_NOT = why_not()
pytestmark = [
    pytest.mark.journey,
    pytest.mark.swarm,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT or "they can be made"),
]
_TLS, _P2P = 7479, 4001
_HOST = {"listen_maddrs": [f"/ip4/0.0.0.0/tcp/{_P2P}"]}
#: What is said first on the wire of TLS, and what libp2p says to everybody.
_KNOCK_BYTES, _SELECT = 43, b"\x13/multistream/1.0.0\n"
#: ETH_P_ALL, of if_ether.h.
_EVERYTHING = 3
_PARTS = [
    ("[[transport]]", {"use": "tls"}),
    ("[[transport]]", {"use": "p2p", **_HOST}),
    ("[ledger]", {"use": "gossip", **_HOST}),
    ("[[discovery]]", {"use": "mdns"}),
    ("[[discovery]]", {"use": "dht", **_HOST}),
]


@pytest.fixture
def net() -> Iterator[Lan]:
    with lan("gw", "one", "out") as made:
        yield made


@pytest.fixture
def swarm(tmp_path: Path, net: Lan) -> Iterator[Members]:
    with members(tmp_path, net, parts=_PARTS, on_loopback=True) as made:
        yield made


def answered(host: str, port: int, said: bytes, *, seconds: float = 2.0) -> bytes:
    """Return all that is answered to *said* until nothing comes, or the connection ends."""
    heard = b""
    # it hangs up, or has nothing more to say
    with socket.create_connection((host, port), timeout=seconds) as stream, suppress(OSError):
        stream.sendall(said)
        while more := stream.recv(65536):
            heard += more
    return heard


def a_client_hello() -> bytes:
    """Return what a TLS client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="gateway").do_handshake()
    return outgoing.read()


def open_ports(host: str) -> list[int]:
    """Return on which TCP ports *host* can be dialled."""
    found: list[int] = []
    for port in range(1, 65536):
        with socket.socket() as tried:
            tried.settimeout(1)
            if tried.connect_ex((host, port)) == 0:
                found.append(port)
    return found


def first_words(frames: socket.socket, port: int, until: threading.Event) -> list[bytes]:
    """Return the payloads of packets to *port* of TCP over IPv4, as they go over the switch, until told to end."""
    heard: list[bytes] = []
    frames.settimeout(0.1)
    while not until.is_set():
        try:
            frame = frames.recv(65536)
        except TimeoutError:
            continue
        if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_TCP:
            continue
        start = 14 + (frame[14] & 15) * 4
        (to,) = struct.unpack_from("!H", frame, start + 2)
        length = struct.unpack_from("!H", frame, 16)[0] + 14
        body = frame[start + (frame[start + 12] >> 4) * 4 : length]
        if to == port and body:
            heard.append(body)
    return heard


@contextmanager
def overhearing(net: Lan, host: str, port: int) -> Generator[list[bytes]]:
    """Yield what is said to *port* of any machine by *host*, or to *host* by any, from now on until the block ends."""
    heard: list[bytes] = []
    enough = threading.Event()

    def sniff() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERYTHING)) as frames:
            frames.bind((f"p-{host}", 0))
            heard.extend(first_words(frames, port, enough))

    sniffing = threading.Thread(target=lambda: done_in(f"swg{net.tag}-switch", sniff))
    sniffing.start()
    try:
        yield heard
    finally:
        enough.set()
        sniffing.join()


def begin(swarm: Members) -> None:
    """Start two gateways that answer for each other, by TLS and with libp2p beside it."""
    for host in ("one", "gw"):
        swarm.gateway(host, "run", "--federated", backends=[{"use": "echo"}])
    swarm.until("gw", lambda said: any(each["state"] == "usable" for each in said["gateways"]))
    for host in ("one", "gw"):
        while '"p2p.listening"' not in swarm.started[host].said():
            time.sleep(0.05)


def test_a_stranger_hears_nothing(swarm: Members, net: Lan) -> None:
    """Two ports are open; TLS's is silent, whatever is said or repeated there, and libp2p's speaks Noise alone."""
    with overhearing(net, "gw", _TLS) as heard:
        begin(swarm)
    knocks = [words for words in heard if len(words) > _KNOCK_BYTES]
    assert knocks
    for host in ("gw", "one"):
        address = net.hosts[host]
        assert set(net.run("out", partial(open_ports, address))) == {_TLS, _P2P}
        # as each is: once more with a hello of our own, as if we had it from one who may; and all that was said there
        repeated = [words[:_KNOCK_BYTES] + a_client_hello() for words in knocks]
        for said in (a_client_hello(), os.urandom(4096), b"GET / HTTP/1.1\r\n\r\n", *repeated, b"".join(heard)):
            assert net.run("out", partial(answered, address, _TLS, said)) == b""
        for said in (a_client_hello(), os.urandom(4096), _SELECT + b"\x10/plaintext/2.0.0\n"):
            assert net.run("out", partial(answered, address, _P2P, said)) in {_SELECT, _SELECT + b"\x03na\n"}
    assert swarm.get("gw", "/v1/swarm")["gateways"][0]["state"] == "usable"


def test_what_is_kept_secret_stands_nowhere(swarm: Members) -> None:
    """Neither the token nor a key is in a log at its most talkative, in a command line, or in what a gateway shows."""
    begin(swarm)
    secrets = secret_words(swarm)
    for host in ("gw", "one"):
        family = [swarm.started[host].process.pid, *swarm.children(host, "")]
        places = {f"command line of {pid}": Path(f"/proc/{pid}/cmdline").read_bytes() for pid in family}
        places["log"] = swarm.started[host].said().encode()
        for path in ("/v1/swarm", "/v1/models", "/openapi.json", "/v1/requests", "/v1/logs"):
            places[path] = json.dumps(swarm.get(host, path)).encode()
        for place, text in places.items():
            assert not [word for word in secrets if word in text], place


def secret_words(swarm: Members) -> list[bytes]:
    """Return what must stand nowhere, as it may be written: the token, what is made of it, and the nodes' keys."""
    token = read_pass(swarm.token.read_text().strip())
    assert isinstance(token, Token)
    found = [swarm.token.read_bytes().strip().removeprefix(b"sgt_")]
    for secret in (token.secret, *token.secrets, *(path.read_bytes() for path in swarm.folder.rglob("node.key"))):
        found += [secret, secret.hex().encode(), b64encode(secret).rstrip(b"="), repr(secret).encode()[2:-1]]
    return found
