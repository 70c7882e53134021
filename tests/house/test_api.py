from __future__ import annotations

import ast
import inspect

import swarmgate.api


def test_all_is_complete() -> None:
    """Every name the front door imports stands in ``__all__``, once, and nothing else does."""
    tree = ast.parse(inspect.getsource(swarmgate.api))
    imported = [
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    ]
    assert sorted(swarmgate.api.__all__) == sorted(imported)


def test_all_is_sorted() -> None:
    """``__all__`` is sorted as ruff sorts it: constants, then classes, then functions."""

    def rank(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)

    names = list(swarmgate.api.__all__)
    assert names == sorted(names, key=rank)


def test_every_public_thing_is_explained() -> None:
    """Every class and function of the front door has a docstring of its own."""
    things = {name: getattr(swarmgate.api, name) for name in swarmgate.api.__all__}
    kinds = {name: thing for name, thing in things.items() if inspect.isclass(thing) or inspect.isfunction(thing)}
    assert [name for name, thing in kinds.items() if not thing.__dict__.get("__doc__") and inspect.isclass(thing)] == []
    assert [name for name, thing in kinds.items() if not inspect.getdoc(thing)] == []


def test_the_front_door_is_light() -> None:
    """The front door brings nothing heavy along: a plugin that imports it stays cheap to list."""
    source = inspect.getsource(swarmgate.api)
    assert all(f"import {name}" not in source for name in ("litestar", "uvicorn", "trio", "numpy"))
