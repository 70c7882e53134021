"""Who may use what is lent, and who has to be turned away.  Pure: no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """One gateway's right to use this lender; *host* is where it connects from."""

    holder: str
    host: str


@dataclass(frozen=True, slots=True, eq=False)
class Visit:
    """One connection of a llama.cpp client; *lease* None is one that came without asking."""

    host: str
    lease: Lease | None


@dataclass(slots=True)
class Desk:
    """Gives out the one lease, and lets one llama.cpp client in at a time: its server takes no more."""

    lease: Lease | None = None
    visit: Visit | None = None

    @property
    def holder(self) -> str:
        """Return who has what is lent, by name; empty if nobody has."""
        if self.lease is not None:
            return self.lease.holder
        return f"a llama.cpp client at {self.visit.host}" if self.visit is not None else ""

    def grant(self, holder: str, host: str) -> Lease | None:
        """Return the lease, or None while somebody else has it."""
        if self.lease is not None or self.visit is not None:
            return None
        self.lease = Lease(holder or host, host)
        return self.lease

    def end(self, lease: Lease) -> Visit | None:
        """Take *lease* back; return the visit that has to end with it, if there is one."""
        if self.lease is lease:
            self.lease = None
        ending = self.visit
        if ending is None or ending.lease is not lease:
            return None
        self.visit = None
        return ending

    def admit(self, host: str) -> Visit | None:
        """Let a llama.cpp client from *host* in, or return None: another is in, or another has the lease."""
        if self.visit is not None or (self.lease is not None and self.lease.host != host):
            return None
        self.visit = Visit(host, self.lease)
        return self.visit

    def leave(self, visit: Visit) -> None:
        """Learn that *visit* is over."""
        if self.visit is visit:
            self.visit = None
