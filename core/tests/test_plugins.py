from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from textwrap import dedent

import pytest
from swarmgate.errors import PluginError
from swarmgate.parts import BALANCER, LEDGER
from swarmgate.plugins import GROUP, Catalogue, load

HEAD = """
from contextlib import asynccontextmanager
from swarmgate.api import NoOptions, Options, Part, hookimpl

@asynccontextmanager
async def open_nothing(options, context):
    yield None

def part(name="lonely", options=NoOptions, opener=open_nothing, **more):
    return Part(name, "For a test.", options, opener, **more)
"""
GOOD = HEAD + "@hookimpl\ndef swarmgate_balancer():\n    return [part({name!r})]\n"

Install = Callable[..., None]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def install(site: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a little distribution with one module on the path, as an installer would."""

    def put(distribution: str, code: str, *, version: str = "1.2.3", plugin: str = "", module: str = "") -> None:
        module = module or distribution.replace("-", "_")
        site.joinpath(f"{module}.py").write_text(dedent(code))
        monkeypatch.delitem(sys.modules, module, raising=False)
        facts = site / f"{distribution.replace('-', '_')}-{version or '0'}.dist-info"
        facts.mkdir()
        facts.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\n" + (f"Version: {version}\n" if version else "")
        )
        facts.joinpath("entry_points.txt").write_text(f"[{GROUP}]\n{plugin or module} = {module}\n")

    return put


@pytest.fixture
def found(site: Path) -> Callable[[], Catalogue]:
    """Load what is installed in the test's own folder."""

    def find() -> Catalogue:
        return load(point for each in distributions(path=[str(site)]) for point in each.entry_points)

    return find


def test_a_part_remembers_its_plugin_and_distribution(install: Install, found: Callable[[], Catalogue]) -> None:
    """Of each part the catalogue knows plugin, distribution and version."""
    install("acme-lonely", GOOD.format(name="lonely"))
    catalogue = found()
    entry = catalogue.find(BALANCER, "lonely")
    assert (entry.plugin, entry.distribution, entry.version) == ("acme_lonely", "acme-lonely", "1.2.3")
    assert entry.origin == catalogue.plugins["acme_lonely"].origin == "acme-lonely 1.2.3"
    assert not catalogue.broken
    assert list(catalogue) == [entry]


def test_what_is_installed_here_is_found_through_its_entry_points() -> None:
    """Without arguments, the catalogue holds what is installed, the core's own parts among it."""
    catalogue = load()
    assert catalogue.find(LEDGER, "memory").distribution == "swarmgate-core"


ASYNCHRONOUS = "is asynchronous: hooks are synchronous; put what must be awaited into the part's open"
MARKED = HEAD + "@hookimpl\n"
HOOK = MARKED + "def swarmgate_balancer(): "


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("def broken(:", "SyntaxError: "),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyError", "KeyError"),
        ("x = 1", "brings nothing: no function in it is marked @hookimpl"),
        (
            MARKED + "def swarmgate_balancr(): return []",
            "unknown hook 'swarmgate_balancr'; did you mean 'swarmgate_balancer'?",
        ),
        (MARKED + "def swarmgate_route(): return []", "unknown hook 'swarmgate_route'"),
        (MARKED + "async def swarmgate_balancer(): return [part()]", f"swarmgate_balancer {ASYNCHRONOUS}"),
        (MARKED + "async def swarmgate_balancer(): yield part()", f"swarmgate_balancer {ASYNCHRONOUS}"),
        (MARKED + "async def swarmgate_commands(): return []", f"swarmgate_commands {ASYNCHRONOUS}"),
        (
            HEAD + "async def later(): ...\n@hookimpl\ndef swarmgate_balancer(): return later()",
            f"swarmgate_balancer {ASYNCHRONOUS}",
        ),
        (
            MARKED + "def swarmgate_balancer(config): return [part()]",
            "Argument(s) {'config'} are declared in the hookimpl but can not be found in the hookspec",
        ),
        (HOOK + "raise ValueError('no\\n luck')", "swarmgate_balancer failed: ValueError: no luck"),
        (HOOK + "raise SystemExit", "swarmgate_balancer failed: SystemExit"),
        (HOOK + "return part()", "swarmgate_balancer must return a list of parts, not Part"),
        (HOOK + "return None", "swarmgate_balancer must return a list of parts, not NoneType"),
        (HOOK + "return [open_nothing]", "swarmgate_balancer must return parts, not function"),
        (HOOK + "return [part(), part()]", "part 'lonely' cannot be used: it is brought twice"),
        (HOOK + "return [part('white space')]", "its name must be made of letters"),
        (HOOK + "return [part(7)]", "its name must be made of letters"),
        (HOOK + "return [part(options=dict)]", "its options must be a class derived from Options"),
        (HOOK + "return [part(options=NoOptions())]", "its options must be a class derived from Options"),
        (HOOK + "return [part(opener=3)]", "its open must be callable, not int"),
        (
            HOOK + "return [part(environ={'SEED': 'seed'})]",
            "the variable SEED stands for 'seed', which is none of its options",
        ),
        (
            HOOK + "return [part(options=Used)]\nclass Used(Options, frozen=True):\n    use: str = ''",
            "it has an option called 'use'",
        ),
        (HEAD + "def swarmgate_balancer(): return [part()]", "swarmgate_balancer is not marked @hookimpl"),
        (
            HEAD
            + "import pluggy\n@pluggy.HookimplMarker('swarmgate')(wrapper=True)\n"
            + "def swarmgate_balancer():\n    return (yield)",
            "swarmgate_balancer is a hook wrapper",
        ),
    ],
)
def test_a_broken_plugin_is_named_with_its_reason_and_stops_nobody(
    install: Install, found: Callable[[], Catalogue], code: str, reason: str
) -> None:
    """Whatever is wrong with one plugin, it is told in one line with name and version, and others work."""
    install("acme-broken", code, version="0.9")
    install("acme-sound", GOOD.format(name="sound"))
    catalogue = found()
    message = str(catalogue.broken["acme_broken"])
    assert message.startswith("acme-broken 0.9: ")
    assert reason in message
    assert "\n" not in message
    assert [entry.part.name for entry in catalogue] == ["sound"]
    assert list(catalogue.plugins) == ["acme_sound"]


def test_a_plugin_with_one_bad_hook_brings_nothing(install: Install, found: Callable[[], Catalogue]) -> None:
    """Its sound hooks do not count either: a plugin works whole or not at all."""
    install("acme-half", GOOD.format(name="half") + "@hookimpl\ndef swarmgate_ledger(): raise OSError('no disk')\n")
    catalogue = found()
    assert not list(catalogue)
    assert "swarmgate_ledger failed: OSError: no disk" in str(catalogue.broken["acme_half"])


def test_an_optional_hook_may_be_unknown(install: Install, found: Callable[[], Catalogue]) -> None:
    """A hook marked optional is for other versions of the gateway, not a slip."""
    install(
        "acme-ahead", GOOD.format(name="ahead") + "@hookimpl(optionalhook=True)\ndef swarmgate_future(): return []\n"
    )
    assert not found().broken


def test_of_two_plugins_with_one_name_none_is_used(install: Install, found: Callable[[], Catalogue]) -> None:
    """Which of them wins must not depend on the path, so none does, and both are named."""
    install("acme-clash", GOOD.format(name="clash"), plugin="same")
    install("other-clash", GOOD.format(name="other"), plugin="same", version="2")
    catalogue = found()
    assert not list(catalogue)
    assert str(catalogue.broken["same"]) == (
        "acme-clash 1.2.3 and other-clash 2: all call themselves 'same', so none is used; uninstall all but one"
    )


def test_of_two_parts_with_one_name_none_is_used(install: Install, found: Callable[[], Catalogue]) -> None:
    """The part both bring is refused, with both distributions named; their other parts work."""
    install("acme-one", GOOD.format(name="twin") + "@hookimpl\ndef swarmgate_ledger(): return [part('book')]\n")
    install("acme-two", GOOD.format(name="twin"))
    catalogue = found()
    assert [entry.part.name for entry in catalogue] == ["book"]
    with pytest.raises(PluginError, match=r"acme-one 1\.2\.3 and acme-two 1\.2\.3: all bring the balancer 'twin'"):
        catalogue.find(BALANCER, "twin")


def test_one_name_in_two_slots_is_no_clash(install: Install, found: Callable[[], Catalogue]) -> None:
    """Names belong to slots."""
    install("acme-both", GOOD.format(name="both") + "@hookimpl\ndef swarmgate_ledger(): return [part('both')]\n")
    catalogue = found()
    assert [(entry.slot.name, entry.part.name) for entry in catalogue] == [("ledger", "both"), ("balancer", "both")]


def test_a_module_under_two_names_is_one_plugin(install: Install, site: Path, found: Callable[[], Catalogue]) -> None:
    """The second entry point is broken; the first works."""
    install("acme-first", GOOD.format(name="first"), plugin="a_first")
    install("acme-second", GOOD.format(name="first"), plugin="b_second", module="acme_first")
    catalogue = found()
    assert [entry.origin for entry in catalogue] == ["acme-first 1.2.3"]
    assert str(catalogue.broken["b_second"]).startswith("acme-second 1.2.3: ValueError")


def test_a_distribution_without_a_version_is_still_named(install: Install, found: Callable[[], Catalogue]) -> None:
    """Poor metadata is no reason to fail."""
    install("acme-poor", GOOD.format(name="poor"), version="")
    (entry,) = found()
    assert entry.origin == "acme-poor"


def test_an_entry_point_of_no_distribution_is_named_by_what_it_points_to() -> None:
    """Entry points made by hand belong to no distribution."""
    catalogue = load([EntryPoint("made", "no.such.module", GROUP)])
    assert str(catalogue.broken["made"]).startswith("no.such.module: ModuleNotFoundError")


def test_an_unknown_part_comes_with_a_remedy(install: Install, found: Callable[[], Catalogue]) -> None:
    """The message names what comes close, or what there is, and says what is broken."""
    install("acme-lonely", GOOD.format(name="lonely"))
    catalogue = found()
    with pytest.raises(PluginError, match=r"^no balancer is called 'lonley'; did you mean 'lonely'\?$"):
        catalogue.find(BALANCER, "lonley")
    with pytest.raises(PluginError, match=r"^no ledger is called 'x'; installed: none$"):
        catalogue.find(LEDGER, "x")
    install("acme-broken", "raise ValueError")
    with pytest.raises(PluginError, match=r"installed: lonely \(broken: acme_broken; see `gateway plugins list`\)$"):
        found().find(BALANCER, "zzz")


COMMANDS = (
    HEAD
    + """
import click

@hookimpl
def swarmgate_commands():
    {before}
    return [click.Command(name) for name in {names!r}]
"""
)


def test_commands_are_asked_for_only_when_wanted(install: Install, found: Callable[[], Catalogue]) -> None:
    """Loading does not call the hook; asking for the commands does, and says whose they are."""
    code = COMMANDS.format(before="open(__file__ + '.called', 'w').close()", names=["token"])
    install("acme-token", code)
    catalogue = found()
    called = Path(sys.modules["acme_token"].__file__ + ".called")  # type: ignore[operator]
    assert not called.exists()
    command, plugin = catalogue.commands()["token"]
    assert (command.name, plugin.origin) == ("token", "acme-token 1.2.3")
    assert called.exists()


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("raise ValueError('no')", "swarmgate_commands failed: ValueError: no"),
        ("return [3]", "swarmgate_commands failed: it must return named click commands, not int"),
        ("return [click.Command(None)]", "it must return named click commands, not Command"),
        ("return click.Command('x')", "swarmgate_commands must return a list of click commands, not Command"),
    ],
)
def test_a_failing_commands_hook_breaks_only_its_plugin(
    install: Install, found: Callable[[], Catalogue], before: str, reason: str
) -> None:
    """The commands of others are still there."""
    install("acme-bad", COMMANDS.format(before=before, names=[]))
    install("acme-good", COMMANDS.format(before="", names=["good"]))
    catalogue = found()
    assert list(catalogue.commands()) == ["good"]
    assert str(catalogue.broken["acme_bad"]).startswith("acme-bad 1.2.3: ")
    assert reason in str(catalogue.broken["acme_bad"])


def test_of_two_commands_with_one_name_none_is_used(install: Install, found: Callable[[], Catalogue]) -> None:
    """As with parts: both are named, none wins."""
    install("acme-one", COMMANDS.format(before="", names=["token"]))
    install("acme-two", COMMANDS.format(before="", names=["token", "other"]))
    catalogue = found()
    assert list(catalogue.commands()) == ["other"]
    assert "acme-one 1.2.3 and acme-two 1.2.3: all bring the command 'token'" in str(catalogue.broken["command/token"])


CHECKS = (
    HEAD
    + """
from swarmgate.api import Check

async def look(patient):
    return []

@hookimpl
def swarmgate_checks():
    {before}
    return [Check(name, "a thing", (), look) for name in {names!r}]
"""
)


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("raise ValueError('no')", "swarmgate_checks failed: ValueError: no"),
        ("return [3]", "swarmgate_checks failed: it must return Checks, not int"),
        ("return 3", "swarmgate_checks must return a list of checks, not int"),
    ],
)
def test_checks_are_brought_and_a_failing_hook_breaks_only_its_plugin(
    install: Install, found: Callable[[], Catalogue], before: str, reason: str
) -> None:
    """Those of others are still made, and it is said whose they are."""
    install("acme-bad", CHECKS.format(before=before, names=[]))
    install("acme-good", CHECKS.format(before="", names=["one", "two"]))
    catalogue = found()
    brought = catalogue.checks()
    assert [(check.name, plugin.distribution) for check, plugin in brought] == [
        ("one", "acme-good"),
        ("two", "acme-good"),
    ]
    assert reason in str(catalogue.broken["acme_bad"])


def test_loading_imports_nothing_heavy() -> None:
    """A fresh interpreter that has loaded the catalogue has not imported what takes long."""
    heavy = {"litestar", "uvicorn", "llama_cpp", "numpy", "trio", "aiohttp", "structlog", "rich"}
    code = f"import sys; from swarmgate.plugins import load; load(); print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.strip() == ""
