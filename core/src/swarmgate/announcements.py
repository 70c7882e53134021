"""What ``gateway run`` and ``gateway worker`` tell whoever started them.  Words only: the command line prints them."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from swarmgate.chat import ModelCard
from swarmgate.nouns import Health, Loan, Worker
from swarmgate.sizes import numberless
from swarmgate.split import SplitPlan
from swarmgate.swarm.facts import PassFacts

_FULL = 100
_TOKEN_FILE = "swarm.token"  # noqa: S105  # the name of a file
_GIGABYTE = 1_000_000_000
_ALONE = "other gateways may answer too if this one is started with --federated, and they as well"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the model called *name* is on its way to being ready; *plan* says where its parts are."""

    name: str
    health: Health
    plan: SplitPlan | None = None

    @property
    def percent(self) -> int | None:
        """Return how far loading has come, None if nothing long is under way."""
        return None if self.health.progress is None else int(self.health.progress * _FULL)

    @property
    def gist(self) -> str:
        """Return the text less its numbers: while that stays the same there is no news for people."""
        return numberless(str(self))

    def __str__(self) -> str:
        if self.health.ready:
            return ", ".join([f"{self.name}: ready", *(_places(self.plan) if self.plan else ())])
        reason = self.health.reason.removeprefix(f"{self.name} ") or "not ready"
        if self.health.permanent:
            return f"{self.name}: failed: {reason}"
        return f"{self.name}: {reason}" if self.percent is None else f"{self.name}: {reason} {self.percent}%"


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served now, and where.  *url* has no slash at its end; *keys* says whether one is needed."""

    url: str
    cards: tuple[ModelCard, ...]
    keys: bool

    @property
    def base_url(self) -> str:
        """Return what OpenAI's clients call the base URL."""
        return f"{self.url}/v1"

    @property
    def curl(self) -> str:
        """Return a command that asks the first model something, ready to be pasted into a shell."""
        card = self.cards[0] if self.cards else ModelCard(name="")
        body: dict[str, object] = {"model": card.name}
        if "chat" in card.abilities:
            path, body = "chat/completions", {**body, "messages": [{"role": "user", "content": "Hello!"}]}
        elif "embedding" in card.abilities:
            path, body = "embeddings", {**body, "input": "Hello!"}
        elif "rerank" in card.abilities:
            path, body = "rerank", {**body, "query": "Hello!", "documents": ["Hi!", "Bye!"]}
        else:
            path, body = "completions", {**body, "prompt": "Hello,", "max_tokens": 32}
        words = ["curl", shlex.quote(f"{self.base_url}/{path}"), "-H", "'Content-Type: application/json'"]
        if self.keys:
            words += ["-H", '"Authorization: Bearer $KEY"']
        words += ["-d", shlex.quote(msgspec.json.encode(body).decode())]
        return " ".join(words)

    def __str__(self) -> str:
        at = f"  OPENAI_BASE_URL={self.base_url}\n\n"
        page = f"  in a browser: {self.url}/\n"
        if not self.cards:
            return f"serving no model yet; `gateway status` says who is known, and why not\n\n{at}{page}"
        return f"serving {', '.join(card.name for card in self.cards)}\n\n{at}  {self.curl}\n\n{page}"


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that works, but should be known."""

    text: str

    def __str__(self) -> str:
        return f"warning: {self.text}"


@dataclass(frozen=True, slots=True)
class Lending:
    """What a worker lends now; *address* is what others dial.

    With a *swarm*, by its authority's id, it is offered there, and gateways of it find it by themselves.
    """

    part: str
    loan: Loan
    address: str
    swarm: str = ""

    @property
    def command(self) -> str:
        """Return the command that uses this worker, ready to be pasted into a shell on another machine."""
        return f'LLAMACPP_GRPC_SERVERS="{self.address}" gateway run --model FILE.gguf'

    def __str__(self) -> str:
        labels = self.loan.labels
        facts = [labels["devices"]] if labels.get("devices") else []
        if labels.get("memory_bytes", "").isdigit():
            facts.append(f"{int(labels['memory_bytes']) / _GIGABYTE:.1f} GB of memory")
        lends = f"{self.part} lends {', '.join(facts) or 'this machine'}"
        if self.swarm:
            return f"{lends} to the swarm {self.swarm}: its gateways find it by themselves\n"
        return f"{lends} on {self.loan.endpoint}\n\n  {self.command}\n"


@dataclass(frozen=True, slots=True)
class Joined:
    """In which swarm this gateway is, and how others come in; the token itself is nowhere in it.

    *show* is the command that prints it here, empty where it was given to this gateway.  Unless it is *federated* it
    looks at workers only, and other gateways do not see it either.
    """

    facts: PassFacts
    node: str
    show: str = ""
    federated: bool = False

    @property
    def commands(self) -> tuple[str, ...]:
        """Return what is typed on other machines that join, and before it what writes the token's file here."""
        if self.facts.kind == "invite":
            return ()
        return (
            *([f"{self.show} > {_TOKEN_FILE}"] if self.show else []),
            f"gateway worker llama-cpp-rpc --token-file {_TOKEN_FILE}",
            *([f"gateway run --federated --token-file {_TOKEN_FILE}"] if self.federated else []),
        )

    def __str__(self) -> str:
        told = f"in the swarm {self.facts.swarm} as {self.node}"
        if not self.commands:
            return f"{told}, invited as a {self.facts.role}\n"
        here = "write the token's file here, bring it there, and join" if self.show else "join with the token in a file"
        lines = "".join(f"  {command}\n" for command in self.commands)
        single = "`gateway token invite` prints an invite for one machine, which can be revoked"
        more = "" if self.federated else f"  {_ALONE}\n"
        return f"{told}; other machines {here}:\n\n{lines}\n  {single}\n{more}"


@dataclass(frozen=True, slots=True)
class Stopping:
    """The gateway stops; *answers* under way get up to *seconds* to finish."""

    answers: int
    seconds: float

    def __str__(self) -> str:
        if not self.answers:
            return "stopping"
        answers = "1 answer" if self.answers == 1 else f"{self.answers} answers"
        return f"stopping: up to {self.seconds:g} s for {answers} to finish; once more to stop now"


def _places(plan: SplitPlan) -> list[str]:
    """Return who has how much of a model that is split; nothing of one that is not."""
    if not plan.workers:
        return []
    if not plan.portions:
        return [f"{share.fraction:.0%} {_where(share.worker)}" for share in plan.shares]
    told: list[str] = []
    for portion in plan.portions:
        layers = portion.end - portion.first
        unit = "" if told else " layer" if layers == 1 else " layers"
        if layers or portion.output:
            told.append(f"{f'{layers}{unit}' if layers else 'the output'} {_where(portion.worker)}")
    return told


def _where(worker: Worker | None) -> str:
    return "here" if worker is None else f"on {worker.offer.name}"


Announcement = Progress | Serving | Joined | Lending | Warned | Stopping
Announce = Callable[[Announcement], None]
