from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from swarmgate.announcements import Progress, Stopping, Warned
from swarmgate.cli.output import expected_errors
from swarmgate.cli.reading import read
from swarmgate.cli.run import Teller
from swarmgate.errors import ConfigError, EngineError, PluginError
from swarmgate.nouns import Health

Gateway = Callable[..., subprocess.CompletedProcess[str]]
ECHO = '[gateway]\nlisten = "127.0.0.1:0"\nstate_dir = "state"\n[[backend]]\nuse = "echo"\n'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def loading(percent: int) -> Progress:
    return Progress("m", Health(ready=False, reason="loading", progress=percent / 100))


def test_the_placement_of_all_models_can_be_a_flag(gateway: Gateway, home: Path) -> None:
    """It goes before the file; a word that is none is refused at once, with those that are."""
    home.joinpath("gateway.toml").write_text(ECHO)
    done = gateway("run", "--placement", "away")
    assert done.returncode == 2
    assert "'away' is not one of 'auto', 'local', 'split'" in done.stderr
    blueprint, _, _ = read(str(home / "gateway.toml"), {"placement": "split"})
    assert (blueprint.settings.placement, blueprint.origins["placement"]) == ("split", "--placement")


def test_run_serves_until_told_to_stop(home: Path, environ: dict[str, str]) -> None:
    """It announces itself on standard output, logs on standard error, and ends with status 0 on SIGTERM."""
    home.joinpath("gateway.toml").write_text(ECHO)
    command = [sys.executable, "-m", "swarmgate", "run", "--log-format", "json"]
    with subprocess.Popen(
        command, cwd=home, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            told = ""
            while "curl" not in told:
                line = process.stdout.readline()
                assert line, f"ended after: {told}"
                told += line
            process.send_signal(signal.SIGTERM)
            rest, logged = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "OPENAI_BASE_URL=http://127.0.0.1:" in told
    assert "stopping" in rest
    events = [msgspec.json.decode(line)["event"] for line in logged.splitlines()]
    assert "serve.ready" in events
    assert home.joinpath("state").is_dir()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--listen", "nowhere"], 2, "error: --listen: expected something like 127.0.0.1:8080, found 'nowhere'"),
        (["--balancer", "x"], 2, "error: --balancer: no balancer is called 'x'; installed: "),
        (["-c", "none.toml"], 2, "error: none.toml: there is no such file"),
        (["--api-key-file", "none"], 2, "error: --api-key-file: api_key_file 'none': there is no such file"),
        (["--p2ptoken", "sgt_x"], 2, "error: --p2ptoken: the token is mistyped or was cut (its checksum is wrong)"),
        (["--token-file", "none"], 2, "error: --token-file: token_file 'none': there is no such file"),
        (["--state-dir", "/proc/none"], 2, "error: the state folder /proc/none cannot be used"),
    ],
)
def test_what_can_be_expected_is_one_line_and_no_traceback(
    gateway: Gateway, home: Path, arguments: list[str], status: int, message: str
) -> None:
    """A fault of the call or the configuration ends the command at once, with status 2."""
    home.joinpath("gateway.toml").write_text(ECHO)
    done = gateway("run", *arguments)
    assert done.returncode == status
    assert done.stderr.splitlines()[-1].startswith(message)
    assert "Traceback" not in done.stderr


def test_expected_errors_are_found_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    """However deep task groups have wrapped them; each is told once."""
    inner = ExceptionGroup("inner", [EngineError("the engine is gone"), EngineError("the engine is gone")])
    with pytest.raises(SystemExit) as caught, expected_errors():
        raise ExceptionGroup("outer", [inner, PluginError("one\ntwo")])
    assert caught.value.code == 1
    assert capsys.readouterr().err == "error: the engine is gone\nerror: one\nerror: two\n"


def test_a_config_error_at_run_time_is_still_one_of_configuration() -> None:
    """Such as an address that is taken: status 2."""
    with pytest.raises(SystemExit) as caught, expected_errors():
        raise ConfigError("the address is taken")
    assert caught.value.code == 2


def test_what_is_not_expected_keeps_its_traceback() -> None:
    """Alone or among expected ones, a bug is not hidden."""
    with pytest.raises(LookupError), expected_errors():
        raise LookupError
    with pytest.raises(ExceptionGroup), expected_errors():
        raise ExceptionGroup("both", [EngineError("x"), LookupError()])


def test_progress_stays_on_one_line_of_a_terminal() -> None:
    """Each step is written over the last, and what comes next over the progress."""
    tell = Teller(out := Terminal())
    tell(loading(1))
    tell(loading(2))
    tell(Warned("open to all"))
    assert out.getvalue() == "\x1b[Km: loading 1%\r\x1b[Km: loading 2%\r\x1b[Kwarning: open to all\n"


def test_progress_in_a_file_is_every_tenth() -> None:
    """A log of a start is not a hundred lines."""
    tell = Teller(out := io.StringIO())
    for percent in range(0, 31, 3):
        tell(loading(percent))
    tell(Stopping(0, 1.0))
    assert out.getvalue().splitlines() == [
        "m: loading 0%",
        "m: loading 10%",
        "m: loading 20%",
        "m: loading 30%",
        "stopping",
    ]


def test_a_reason_to_wait_is_told_once() -> None:
    """However often its numbers change; another reason, and being ready, is told."""
    tell = Teller(out := io.StringIO())
    for reason in ("here are 1.0 GiB", "here are 900.5 MiB", "w1 is lent to 'b'", "w1 is lent to 'b'"):
        tell(Progress("m", Health(ready=False, reason=reason)))
        tell(Progress("n", Health(ready=False, reason="no memory")))
    tell(Progress("m", Health(ready=True)))
    assert out.getvalue().splitlines() == [
        "m: here are 1.0 GiB",
        "n: no memory",
        "m: w1 is lent to 'b'",
        "m: ready",
    ]


def test_nobody_has_to_listen() -> None:
    """A closed pipe ends no gateway."""

    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    Teller(Closed())(loading(1))
