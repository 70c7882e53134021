"""Who is known of, whether they can be used, and which model lies where.  Values only."""

from __future__ import annotations

from typing import Literal

from swarmgate.nouns import Endpoint, Health, Node, NodeId, Offer, Way, Word
from swarmgate.split import Placement, SplitPlan

#: Nobody has answered yet; can be used; cannot, and the member's *reason* says why; is offered no more; is
#: known by what it announces, and reached when somebody has use for it.
Standing = Literal["reaching", "usable", "left_out", "gone", "announced"]
#: Answers; is being loaded; cannot be loaded now, or ever, and *waiting* says why; finishes its last answers; is not
#: loaded because somebody wanted it so.
ModelState = Literal["loaded", "loading", "waiting", "failed", "unloading", "unloaded"]


class Member(Word, frozen=True):
    """One who offers a service, as this gateway sees it.

    *labels* are what the offer and then the probe say.  *retry_seconds* is how long it is until the next try
    of one that is left out, None if nothing is planned.  *model* is which of our models has it, empty if none.
    While it is reached, *address* is by which of its addresses, and *way* how that goes, if the transport says so.
    *found* are the parts by which we heard of it.  *seen_seconds* is how long ago it could last be used, 0 while it
    can, None if it never could.
    """

    offer: Offer
    standing: Standing = "reaching"
    reason: str = ""
    endpoint: Endpoint | None = None
    labels: dict[str, str] = {}
    retry_seconds: float | None = None
    model: str = ""
    address: str = ""
    way: Way | None = None
    found: tuple[str, ...] = ()
    seen_seconds: float | None = None


class Placed(Word, frozen=True):
    """Where one backend's model is, or will be, or why nowhere.

    *plan* is the one that is loaded, *coming* the one that is being loaded.  *waiting* says what is missing while
    there is no plan, or why it is not loaded any more.
    """

    backend: str
    model: str
    placement: Placement = "auto"
    plan: SplitPlan | None = None
    coming: SplitPlan | None = None
    waiting: str = ""
    state: ModelState = "loading"


class Answering(Word, frozen=True):
    """One backend as the dispatcher sees it; *node* is the gateway behind it, if it is another one.

    *breaker* is ``closed`` while it does well, ``open`` while it is left alone for failing, for *retry_seconds*
    yet, and ``half_open`` while it is tried again.  *slots* are the answers it writes at once, *written* the tokens
    it has written for this gateway so far.  *asleep* says that no path to it is held until somebody asks.
    """

    backend: str
    node: str = ""
    models: tuple[str, ...] = ()
    health: Health = Health(ready=False)
    draining: bool = False
    breaker: Literal["closed", "open", "half_open"] = "closed"
    retry_seconds: float = 0.0
    in_flight: int = 0
    slots: int = 0
    written: int = 0
    asleep: bool = False


class Swarm(Word, frozen=True):
    """All this gateway knows of the swarm at one moment.

    *node* is the gateway itself, which has been up for *seconds*; *memory_bytes* is how much its machine has, *cores*
    how many processors, each 0 if that is not known.  *authority* is the id of the swarm it is in, empty if it is in
    none, and *federated* says whether it looks at other gateways that are offered.  *members* are the workers,
    *gateways* the other gateways that are offered.  *healths* says of each backend, by its name, how it does.
    """

    node: Node = Node(id=NodeId(""), name="")
    seconds: float = 0.0
    memory_bytes: int = 0
    cores: int = 0
    authority: str = ""
    federated: bool = False
    members: tuple[Member, ...] = ()
    gateways: tuple[Member, ...] = ()
    placed: tuple[Placed, ...] = ()
    nodes: tuple[Answering, ...] = ()
    healths: dict[str, Health] = {}
