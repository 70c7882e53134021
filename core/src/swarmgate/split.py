"""How one model is divided: what it takes up, shares of its layers, and the plan they make up."""

from __future__ import annotations

from typing import Literal

from swarmgate.nouns import Word, Worker

#: Where a model may go: here if it fits and else split; here whatever it weighs; split even if it fits.
Placement = Literal["auto", "local", "split"]
#: What becomes of a loaded model when workers join; one that loses a worker is always loaded anew.
OnChange = Literal["reload", "keep"]


class Footprint(Word, frozen=True):
    """What a loaded model takes up, in bytes, and where that must be.

    *layers* are the weights of each layer and *cache* what its cache takes for all tokens together.
    *input* are weights that stay on this machine, *output* those that go where the last layer goes
    (a model that uses one matrix for both has it twice when split).  *compute* is what every place
    needs besides in order to compute, *output_compute* what the last one needs on top.
    """

    input: int = 0
    layers: tuple[int, ...] = ()
    output: int = 0
    cache: tuple[int, ...] = ()
    compute: int = 0
    output_compute: int = 0


class Share(Word, frozen=True):
    """A worker's part of a model as a fraction in (0, 1]; *worker* None is this machine.

    The fraction is of the model's layers, the output counting as one more; places follow one another
    in the order of the shares, but this machine always has the first layers.
    """

    worker: Worker | None
    fraction: float


class Portion(Word, frozen=True):
    """What one place holds of a model: layers from *first* until before *end*, maybe the output; sizes in bytes.

    *worker* None is this machine; *share* is the fraction of all layers, the output counting as one more.
    """

    worker: Worker | None = None
    first: int = 0
    end: int = 0
    output: bool = False
    weights: int = 0
    cache: int = 0
    compute: int = 0
    share: float = 0.0

    @property
    def total(self) -> int:
        """Return everything it takes up."""
        return self.weights + self.cache + self.compute


class SplitPlan(Word, frozen=True):
    """Where the parts of one model go.  No shares means: all of it here.

    *portions* are what comes of the shares, this machine first, if the splitter knows: for people to look at,
    and for the core to know how much memory here is spoken for.
    """

    shares: tuple[Share, ...] = ()
    reason: str = ""
    portions: tuple[Portion, ...] = ()

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Return the workers that take part, in the order of their shares."""
        return tuple(share.worker for share in self.shares if share.worker is not None)
