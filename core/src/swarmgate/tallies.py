"""What each place has under way, how fast it has been, and what it likely holds.  No clock, no loop."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from swarmgate.nouns import Candidate, Demand
from swarmgate.places import Place
from swarmgate.prefixes import DEFAULT_TOKENS, Prefixes
from swarmgate.rates import Reading, Writing

#: Old outcomes count half after so many seconds, and after so many newer outcomes.
_HALF_SECONDS = 30.0
_HALF_OUTCOMES = 3.0
#: A speed last seen so many seconds ago is unknown again: whoever was slow once gets another chance.
STALE_SECONDS = 300.0
#: So many tokens of an answer make a sample of its speed, and so many will do at its end.
_WINDOW, _LEAST = 32, 8
#: How much the newest answer moves the mean length of answers.
_GAIN = 0.1
#: Places and models remembered; those unheard of for longest are forgotten, unless something is under way.
_PLACES, _MODELS = 4096, 1024


@dataclass(slots=True)
class _Known:
    """What is known of one model in one place."""

    prefixes: Prefixes
    reading: Reading = field(default_factory=Reading)
    writing: Writing = field(default_factory=Writing)
    read_at: float = -math.inf
    wrote_at: float = -math.inf


@dataclass(slots=True)
class _Tally:
    """What is under way in one place, and its failures: a share, and what share of it is known.

    *written* are the tokens of the attempts that are over, *running* those that are not, by their identity.
    """

    in_flight: int = 0
    writing: int = 0
    queued_tokens: int = 0
    written: int = 0
    running: dict[int, Entry] = field(default_factory=dict[int, "Entry"])
    failed: float = 0.0
    seen_at: float = -math.inf
    models: dict[str, _Known] = field(default_factory=dict[str, _Known])


@dataclass(slots=True)
class Entry:
    """One attempt in the tallies, from begin to end.

    *tokens* have to be read, *ahead* were queued before them; *unclear* says that the time until then tells
    nothing of the speed of reading: no slot was free, or more than the prompt has to be read.
    *length* is how long the finished answer was.
    """

    name: str
    model: str
    began: float
    tokens: int = 0
    ahead: int = 0
    unclear: bool = False
    read: bool = False
    written: int = 0
    window_began: float = 0.0
    window: int = 0
    length: int = 0

    def count(self, tokens: int) -> bool:
        """Count *tokens* of the answer, if no time has to be taken for that; return whether it was so.

        Asking what time it is costs more than all else that is done for a token here.
        """
        if not self.read or self.window + tokens >= _WINDOW:
            return False
        self.written += tokens
        self.window += tokens
        return True


class Tallies:
    """Counts what each place has under way, and remembers for a while what failed there.

    Times are in seconds, of any clock that does not go backwards.  The speed of reading is what was queued
    ahead and the request's own tokens over the time to its first piece; that of writing is the tokens after it
    over the time they took.
    """

    def __init__(self) -> None:
        self._tallies: dict[str, _Tally] = {}
        self._lengths: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<Tallies {sum(tally.in_flight for tally in self._tallies.values())} in flight>"

    def candidate(self, place: Place, now: float, demand: Demand | None = None) -> Candidate:
        """Return *place* as a balancer sees it at the time *now*, with what it holds of the prompt of *demand*."""
        card = place.card
        tally = self._tallies.get(place.name)
        if tally is None:
            return Candidate(name=place.name, slots=max(card.slots, 1), labels=card.labels)
        known = tally.models.get(card.name)
        reads = known is not None and now - known.read_at <= STALE_SECONDS
        writes = known is not None and now - known.wrote_at <= STALE_SECONDS
        return Candidate(
            name=place.name,
            in_flight=tally.in_flight,
            writing=tally.writing,
            slots=max(card.slots, 1),
            queued_tokens=tally.queued_tokens,
            prefill_rate=known.reading.rate if known and reads else 0.0,
            decode_rate=known.writing.rate if known and writes else 0.0,
            rtt=known.reading.start if known and reads else 0.0,
            failures=_failures(tally, now),
            cached_prefix=_held(known, demand),
            labels=card.labels,
        )

    def begin(self, place: Place, demand: Demand, now: float, *, resumed: bool = False) -> Entry:
        """Count one more in flight, whose prompt has yet to be read; one *resumed* reads a begun answer, too."""
        tally, known = self._open(place)
        tokens = max(demand.prompt_tokens - _held(known, demand), 0)
        entry = Entry(
            name=place.name,
            model=place.card.name,
            began=now,
            tokens=tokens,
            ahead=tally.queued_tokens,
            unclear=resumed or tally.in_flight >= max(place.card.slots, 1),
        )
        tally.in_flight += 1
        tally.running[id(entry)] = entry
        tally.queued_tokens += tokens
        known.prefixes.add(demand.blocks)
        return entry

    def read(self, entry: Entry, now: float) -> None:
        """Count the prompt as read, once, and learn how fast that went."""
        if entry.read:
            return
        entry.read, entry.window_began = True, now
        tally = self._tallies[entry.name]
        tally.queued_tokens -= entry.tokens
        tally.writing += 1
        if entry.tokens and not entry.unclear:
            known = tally.models[entry.model]
            known.reading.see(entry.tokens + entry.ahead, now - entry.began)
            known.read_at = now

    def wrote(self, entry: Entry, tokens: int, now: float) -> None:
        """Count *tokens* of the answer; the first ones say that the prompt has been read."""
        entry.written += tokens
        if not entry.read:
            self.read(entry, now)
            return
        entry.window += tokens
        if entry.window >= _WINDOW:
            self._see_window(entry, now)

    def end(self, entry: Entry, now: float, *, failed: bool) -> None:
        """Count one less in flight, and how it went."""
        tally = self._tallies[entry.name]
        tally.in_flight -= 1
        tally.running.pop(id(entry), None)
        tally.written += entry.written
        if entry.read:
            tally.writing -= 1
            if entry.window >= _LEAST:
                self._see_window(entry, now)
        else:
            tally.queued_tokens -= entry.tokens
        kept = 0.5 ** (1 / _HALF_OUTCOMES)
        tally.failed = _failures(tally, now) * kept + failed * (1 - kept)
        tally.seen_at = now
        if failed:  # who fails has often died, and what it held with it
            for known in tally.models.values():
                known.prefixes.clear()
        elif entry.length:
            mean = self._lengths.pop(entry.model, float(entry.length))
            self._lengths[entry.model] = mean + _GAIN * (entry.length - mean)
            if len(self._lengths) > _MODELS:
                del self._lengths[next(iter(self._lengths))]

    def pace(self, entry: Entry) -> tuple[float, float]:
        """Return the tokens per second that the place of *entry* reads, 0 if unknown, and the seconds to begin."""
        reading = self._tallies[entry.name].models[entry.model].reading
        return reading.rate, reading.start

    def in_flight(self, name: str) -> int:
        """Return how many requests *name* has under way."""
        return self._tallies[name].in_flight if name in self._tallies else 0

    def written(self, name: str) -> int:
        """Return how many tokens *name* has written so far, those of begun answers included; this never falls.

        Unless the place was forgotten since, for want of requests: then it begins anew.
        """
        tally = self._tallies.get(name)
        return tally.written + sum(entry.written for entry in tally.running.values()) if tally is not None else 0

    def expected_tokens(self, model: str) -> int:
        """Return how long answers of *model*, by its card's name, have been lately, in tokens; 0 if there were none."""
        return round(self._lengths.get(model, 0.0))

    def _open(self, place: Place) -> tuple[_Tally, _Known]:
        tally = self._tallies.pop(place.name, None) or _Tally()
        self._tallies[place.name] = tally
        if len(self._tallies) > _PLACES:
            idle = next(
                (name for name, other in self._tallies.items() if other is not tally and not other.in_flight), ""
            )
            self._tallies.pop(idle, None)
        known = tally.models.get(place.card.name)
        if known is None:
            capacity = place.card.slots * place.card.context_length or DEFAULT_TOKENS
            known = tally.models[place.card.name] = _Known(Prefixes(capacity))
        return tally, known

    def _see_window(self, entry: Entry, now: float) -> None:
        known = self._tallies[entry.name].models[entry.model]
        known.writing.see(entry.window, now - entry.window_began)
        known.wrote_at = now
        entry.window, entry.window_began = 0, now


def _held(known: _Known | None, demand: Demand | None) -> int:
    """Return how many tokens of the prompt of *demand* are likely held."""
    if known is None or demand is None or not demand.blocks:
        return 0
    return min(known.prefixes.held_tokens(demand.blocks), demand.prompt_tokens)


def _failures(tally: _Tally, now: float) -> float:
    return tally.failed * 0.5 ** ((now - tally.seen_at) / _HALF_SECONDS)
