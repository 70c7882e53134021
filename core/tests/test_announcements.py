from __future__ import annotations

import shlex

import msgspec
import pytest
from swarmgate.announcements import Joined, Progress, Serving, Stopping, Warned
from swarmgate.chat import ModelCard
from swarmgate.nouns import Health
from swarmgate.split import Portion, Share, SplitPlan
from swarmgate.swarm.facts import facts_of
from swarmgate.swarm.membership import invite
from swarmgate.swarm.token import Token
from swarmgate.testing import a_worker

_URL = "http://127.0.0.1:8080"
W1 = a_worker("w1:50052")


def split(here: tuple[int, int], there: tuple[int, int]) -> SplitPlan:
    """Return a plan for this machine and one worker, who has the output."""
    return SplitPlan(
        shares=(Share(worker=None, fraction=0.5), Share(worker=W1, fraction=0.5)),
        portions=(
            Portion(first=here[0], end=here[1]),
            Portion(worker=W1, first=there[0], end=there[1], output=True),
        ),
    )


@pytest.mark.parametrize(
    ("health", "text"),
    [
        (Health(ready=True), "m: ready"),
        (Health(ready=False, reason="loading", progress=0.456), "m: loading 45%"),
        (Health(ready=False, reason="restarting"), "m: restarting"),
        (Health(ready=False, reason="no such file", permanent=True), "m: failed: no such file"),
        (Health(ready=False), "m: not ready"),
        (Health(ready=False, reason="m needs 9.0 GiB"), "m: needs 9.0 GiB"),
    ],
)
def test_progress_is_told_in_a_line(health: Health, text: str) -> None:
    """A backend's way to readiness is told with its name, the reason and a percentage."""
    assert str(Progress("m", health)) == text


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (SplitPlan(), "m: ready"),
        (SplitPlan(portions=(Portion(end=32, output=True),)), "m: ready"),
        (split((0, 20), (20, 32)), "m: ready, 20 layers here, 12 on w1:50052"),
        (split((0, 1), (1, 1)), "m: ready, 1 layer here, the output on w1:50052"),
        (split((0, 0), (0, 32)), "m: ready, 32 layers on w1:50052"),
        (SplitPlan(shares=(Share(worker=None, fraction=0.6), Share(worker=W1, fraction=0.4))),
         "m: ready, 60% here, 40% on w1:50052"),
    ],
)  # fmt: skip
def test_a_split_model_says_over_which_places(plan: SplitPlan, text: str) -> None:
    """One line has who holds how much; of a model in one piece there is nothing to say."""
    assert str(Progress("m", Health(ready=True), plan)) == text


def test_the_gist_stays_while_only_numbers_change() -> None:
    """Free memory changes all the time, units included; another reason is news."""

    def gist(reason: str) -> str:
        return Progress("m", Health(ready=False, reason=reason)).gist

    assert gist("needs 9.0 GiB; here are 1.0 GiB") == gist("needs 9.0 GiB; here are 1023.9 MiB")
    assert gist("needs 9.0 GiB; here are 1.0 GiB") != gist("needs 9.0 GiB; here are 1.0 GiB and w1 lends 2.0 GiB")


@pytest.mark.parametrize("name", ["m", "it's", 'a "b"', "$HOME `id` \\ !", "org/m:Q8_0"])
def test_the_curl_line_survives_a_shell(name: str) -> None:
    """Whatever the model is called, a shell passes its name on unchanged."""
    words = shlex.split(Serving(_URL, (ModelCard(name=name),), keys=False).curl)
    assert words[:2] == ["curl", f"{_URL}/v1/chat/completions"]
    assert msgspec.json.decode(words[words.index("-d") + 1])["model"] == name


def test_the_curl_line_asks_what_the_model_can_do() -> None:
    """A model that only embeds is asked to embed, one that only continues to continue."""
    embedding = ModelCard(name="m", abilities=frozenset({"embedding"}))
    assert "/v1/embeddings" in Serving(_URL, (embedding,), keys=False).curl
    completion = ModelCard(name="m", abilities=frozenset({"completion"}))
    assert "/v1/completions" in Serving(_URL, (completion,), keys=False).curl


def test_a_key_is_asked_for_but_not_shown() -> None:
    """With keys on, the line has a placeholder that a shell fills in."""
    assert '-H "Authorization: Bearer $KEY"' in Serving(_URL, (ModelCard(name="m"),), keys=True).curl
    assert "Authorization" not in Serving(_URL, (ModelCard(name="m"),), keys=False).curl


def test_what_is_served_has_all_a_user_needs() -> None:
    """The models, the base URL and the line to paste stand together."""
    text = str(Serving(_URL, (ModelCard(name="a"), ModelCard(name="b")), keys=False))
    assert "serving a, b" in text
    assert f"in a browser: {_URL}/" in text
    nothing = str(Serving(_URL, (), keys=False))
    assert "serving no model yet" in nothing
    assert "curl" not in nothing
    assert f"OPENAI_BASE_URL={_URL}/v1" in text
    assert "  curl " in text


def test_warnings_and_the_end() -> None:
    """A warning says that it is one; stopping says for what it waits."""
    assert str(Warned("x")) == "warning: x"
    assert str(Stopping(answers=0, seconds=10)) == "stopping"
    assert "up to 10 s for 1 answer to finish" in str(Stopping(answers=1, seconds=10))
    assert "2 answers" in str(Stopping(answers=2, seconds=0.5))


def test_joining_is_told_by_commands_that_have_no_secret() -> None:
    """Where the token is kept here, the first writes it into a file; one that was given is in a file already."""
    token = Token(bytes(32))
    joined = Joined(facts_of(token), "12D3KooWme", "gateway token show --state-dir s", federated=True)
    assert joined.commands[0] == "gateway token show --state-dir s > swarm.token"
    assert [command.partition(" --token-file")[0] for command in joined.commands[1:]] == [
        "gateway worker llama-cpp-rpc",
        "gateway run --federated",
    ]
    assert all(f"  {command}\n" in str(joined) for command in joined.commands)
    given = Joined(facts_of(token), "12D3KooWme", federated=True)
    assert given.commands == joined.commands[1:]
    assert token.text not in str(joined) + repr(joined)


def test_who_is_not_federated_promises_no_other_gateways() -> None:
    """Neither would see the other: that command is left out, and what is missing is said."""
    joined = Joined(facts_of(Token(bytes(32))), "12D3KooWme")
    assert [command.partition(" --token-file")[0] for command in joined.commands] == ["gateway worker llama-cpp-rpc"]
    assert "if this one is started with --federated" in str(joined)
    assert "--federated" not in str(Joined(joined.facts, "12D3KooWme", federated=True)).rpartition("\n  `")[2]


def test_who_was_invited_lets_nobody_else_in() -> None:
    """It is told its role, and no commands."""
    facts = facts_of(invite(Token(bytes(32)), "node", days=1, key=bytes(32), now=1_600_000_000.0))
    joined = Joined(facts, "12D3KooWme")
    assert joined.commands == ()
    assert str(joined) == f"in the swarm {facts.swarm} as 12D3KooWme, invited as a node\n"
