"""See that all versions and pins of the repository agree.  Usage: python scripts/pins_agree.py [ROOT].

uv takes workspace members from their folders whatever the bundle's pins say, and so never notices that
two of them drifted apart; built wheels do, too late.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

CORE = "swarmgate-core"


def read_project(pyproject: Path) -> dict[str, Any]:
    """Return a ``pyproject.toml`` as tables."""
    return tomllib.loads(pyproject.read_text(encoding="utf-8"))


def read_pins(folder: Path) -> dict[str, dict[str, set[str]]]:
    """Return what each requirements file pins: file name → package → versions (one per marker).

    The files of other people's clients do not count: each is for an environment of its own.
    """
    files: dict[str, dict[str, set[str]]] = {}
    for path in sorted(set(folder.glob("*.txt")) - set(folder.glob("clients-*.txt"))):
        pins = files.setdefault(path.name, {})
        for line in path.read_text(encoding="utf-8").splitlines():
            if "==" in line and not line.startswith(("#", " ")):
                name, version = line.split(";")[0].rstrip(" \\").split("==")
                pins.setdefault(canonicalize_name(name), set()).add(version)
    return files


def needs(project: dict[str, Any]) -> Iterator[Requirement]:
    """Yield everything a project asks for: for itself, for its extras, for its groups."""
    table: dict[str, Any] = project["project"]
    wanted: list[str] = list(table.get("dependencies", []))
    for more in (*table.get("optional-dependencies", {}).values(), *project.get("dependency-groups", {}).values()):
        wanted.extend(more)
    yield from map(Requirement, wanted)


def _workspace_faults(projects: dict[str, dict[str, Any]], bundle: dict[str, Any]) -> Iterator[str]:
    versions = {table["project"]["name"]: table["project"]["version"] for table in projects.values()}
    pinned = {requirement.name: str(requirement.specifier) for requirement in needs(bundle)}
    for name, version in versions.items():
        if version != bundle["project"]["version"]:
            yield f"pyproject.toml: the bundle is {bundle['project']['version']}, {name} is {version}; give both one"
        if pinned.get(name) != f"=={version}":
            yield f"pyproject.toml: {name} is {version}, the bundle asks {pinned.get(name)!r}; write {name}=={version}"
    major, minor = Version(versions[CORE]).release[:2]
    promise = f">={major}.{minor},<{major}.{minor + 1}"
    for file, project in projects.items():
        for requirement in needs(project):
            if requirement.name == CORE and requirement.specifier != Requirement(f"{CORE}{promise}").specifier:
                yield f"{file}: asks {requirement}; write {CORE}{promise}"


def _pin_faults(tables: dict[str, dict[str, Any]], files: dict[str, dict[str, set[str]]]) -> Iterator[str]:
    ours = {table["project"]["name"] for table in tables.values()}
    pinned: dict[str, set[str]] = {}
    for file, pins in files.items():
        for name, versions in pins.items():
            if pinned.setdefault(name, versions) != versions:
                both = f"{sorted(versions)}, elsewhere {sorted(pinned[name])}"
                yield f"requirements/{file}: {name} is {both}; `make pins`"
    for file, table in tables.items():
        for requirement in needs(table):
            name = canonicalize_name(requirement.name)
            if name not in ours and not any(map(requirement.specifier.contains, pinned.get(name, ()))):
                found = sorted(pinned.get(name, {"nothing"}))
                yield f"{file}: asks {requirement}, requirements/ pins {', '.join(found)}; `make pins`"


def faults(root: Path) -> list[str]:
    """Return everything that disagrees, as ``file: what; remedy``."""
    members = [root / "core/pyproject.toml", *sorted(root.glob("plugins/*/pyproject.toml"))]
    projects = {str(path.relative_to(root)): read_project(path) for path in members}
    bundle = read_project(root / "pyproject.toml")
    files = read_pins(root / "requirements")
    return [*_workspace_faults(projects, bundle), *_pin_faults({"pyproject.toml": bundle, **projects}, files)]


if __name__ == "__main__":
    found = faults(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent)
    print("\n".join(found) or "versions and pins agree")
    sys.exit(bool(found))
