from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
from swarmgate_transport_libp2p.child.omitted import DEFERRED, OMITTED

pytestmark = pytest.mark.swarm

#: All of the child that imports libp2p, also what it imports late.
WHOLE = """
import sys
from swarmgate_transport_libp2p.child import omitted
omitted.leave_out()
import libp2p
import swarmgate_transport_libp2p.child.node
from libp2p.kad_dht.kad_dht import KadDHT
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def printed(program: str) -> str:
    done = run(WHOLE + program)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """Return what such a process has in its modules."""
    modules: list[str] = json.loads(printed("import json; print(json.dumps(sorted(sys.modules)))"))
    return modules


@pytest.mark.parametrize("name", [*OMITTED, *DEFERRED])
def test_what_is_left_out_is_there_to_be_left_out(name: str, asked: list[str]) -> None:
    """Each name is one of the installed libp2p's, and is asked for: the list has nothing that another version moved."""
    assert find_spec(name) is not None
    assert any(each == name or each.startswith(f"{name}.") for each in asked)


def test_what_no_member_uses_is_not_imported() -> None:
    """Neither QUIC nor TLS, HTTP clients, name servers, zeroconf or metrics come into the process."""
    heavy = {"aioquic", "OpenSSL", "httpx", "requests", "dns", "zeroconf", "prometheus_client", "Crypto", "rich"}
    assert printed(f"print(sorted(name for name in {heavy!r} if sys.modules.get(name)))") == "[]"


def test_what_is_left_out_refuses_to_be_used() -> None:
    """Whoever uses it all the same is told so at once: nothing is half there."""
    done = run(f"{WHOLE}from libp2p.transport.quic.transport import QUICTransport\nQUICTransport(1)")
    assert done.returncode == 1
    assert "NotImplementedError: this part of libp2p is left out of the process" in done.stderr


def test_what_is_left_out_may_be_derived_from_and_caught() -> None:
    """It stands wherever a class may: below others, in an `except` that has to let something else by, in a test."""
    told = printed(
        "from libp2p.transport.quic.exceptions import QUICStreamResetError as gone\n"
        "class Mine(gone): ...\n"
        "try:\n    raise ValueError('other')\n"
        "except gone: print('caught')\n"
        "except ValueError as error: print(error, isinstance(error, gone), gone.from_bytes is gone)"
    )
    assert told == "other False True"


def test_a_package_is_whole_when_it_is_asked_for_more() -> None:
    """A name that only the package's own ``__init__`` has is found: that is run then."""
    assert printed("from libp2p.kad_dht import DHTMode; print(DHTMode.SERVER.value)") == "SERVER"


def test_names_are_resolved_when_an_address_has_one() -> None:
    """What is put off is imported when it is used, and does the same."""
    told = printed(
        "import trio\n"
        "from multiaddr import Multiaddr\n"
        "from multiaddr.resolvers import DNSResolver\n"
        "from libp2p.utils.dns_utils import resolve_multiaddr_with_retry as resolve\n"
        "resolver = DNSResolver()\n"
        "assert 'dns' not in sys.modules\n"
        "where = Multiaddr('/ip4/127.0.0.1/tcp/4001')\n"
        "print(*trio.run(resolver.resolve, where), 'dns' in sys.modules)"
    )
    assert told == "/ip4/127.0.0.1/tcp/4001 True"
