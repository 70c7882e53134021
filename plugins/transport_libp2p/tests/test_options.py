from __future__ import annotations

from swarmgate_transport_libp2p.options import HOST_ENVIRON, HostOptions, severity


def test_limits_count_only_if_they_are_set() -> None:
    """LocalAI's switch turns them on, and the number is another option."""
    assert HostOptions(max_connections=10).most_connections == 0
    assert HostOptions(limits=True, max_connections=10).most_connections == 10


def test_levels_have_localais_names_too() -> None:
    """Who comes from LocalAI need not learn new ones."""
    assert [severity(level) for level in ("warn", "warning", "fatal", "info")] == [
        "warning",
        "warning",
        "critical",
        "info",
    ]


def test_every_variable_sets_an_option_of_the_host() -> None:
    """The names are LocalAI's, the options are ours."""
    assert all(name.startswith("LOCALAI_P2P_") for name in HOST_ENVIRON)
    assert set(HOST_ENVIRON.values()) <= set(HostOptions.__struct_fields__)
