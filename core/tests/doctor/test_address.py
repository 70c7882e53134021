from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from swarmgate.checks import Finding, Patient
from swarmgate.doctor.address import checks
from swarmgate.doctor.case import Case, Running

pytestmark = pytest.mark.anyio
MakeCase = Callable[..., Case]
Levels = Callable[..., list[tuple[str, str]]]


async def made(case: Case, patient: Callable[..., Patient]) -> list[Finding]:
    [check] = checks(case)
    return list(await check.examine(patient()))


async def test_a_port_that_is_taken_is_a_fault(
    make_case: MakeCase, patient: Callable[..., Patient], told: Levels
) -> None:
    """The address is named; a free one is left free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        [found] = await made(make_case(listen=f"127.0.0.1:{port}"), patient)
        assert (found.code, found.about) == ("address.unusable", f"127.0.0.1:{port}")
        assert "something else listens there" in found.what
    for _ in range(2):
        assert told(await made(make_case(listen=f"127.0.0.1:{port}"), patient)) == [("fine", "")]


async def test_an_address_that_is_not_ours_is_a_fault(
    make_case: MakeCase, patient: Callable[..., Patient], told: Levels
) -> None:
    """192.0.2.0/24 is nobody's (RFC 5737)."""
    assert told(await made(make_case(listen="192.0.2.77:8080"), patient)) == [("fault", "address.unusable")]


async def test_an_open_door_is_noted(make_case: MakeCase, patient: Callable[..., Patient], told: Levels) -> None:
    """Beyond this machine without keys; with keys it is as it should be."""
    assert told(await made(make_case(listen="0.0.0.0:0"), patient)) == [("note", "address.open")]
    assert told(await made(make_case(listen="0.0.0.0:0", api_keys=("k",)), patient)) == [("fine", "")]


async def test_a_gateway_that_runs_has_the_address(
    make_case: MakeCase, patient: Callable[..., Patient], running: Callable[..., Running], told: Levels
) -> None:
    """Its own socket is no fault; that it lets us in with none of our keys is."""
    [found] = await made(make_case(running=running()), patient)
    assert (found.level, found.what) == ("fine", "the gateway 'home' 1.2.3 runs")
    assert told(await made(make_case(barred="takes none of the keys"), patient)) == [("fault", "address.barred")]
