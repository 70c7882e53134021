from __future__ import annotations

from swarmgate_transport_static import StaticOptions
from swarmgate_transport_static.checkup import of_lists


def test_each_bad_entry_is_named_beside_its_list() -> None:
    """The gateway leaves it out and goes on, so that nobody would notice."""
    found = of_lists(StaticOptions(workers=["10.0.0.5:1,nonsense", "http://x:1"], nodes=["10.0.0.6:8080"]))
    assert [(each.level, each.code, each.about) for each in found] == [
        ("fault", "lists.unreadable", "workers"),
        ("fault", "lists.unreadable", "workers"),
        ("fine", "", "nodes"),
    ]
    assert "'nonsense' has no port" in found[0].what
    assert found[2].what == "10.0.0.6:8080"


def test_empty_lists_are_well() -> None:
    """The discovery is there by default."""
    assert [(each.level, each.what) for each in of_lists(StaticOptions())] == [("fine", "nobody is listed")]
