"""Which sequences hold the KV of which token paths: a radix tree.  Pure.

With a unified KV cache, ``llama_memory_seq_cp`` lets a second sequence use the cells of a first
one at no cost.  So every prompt that was computed stays known here, under the sequence that
holds it, until it is evicted; a new prompt takes the longest prefix that anybody holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Tokens = tuple[int, ...]


@dataclass(slots=True)
class _Node:
    """An edge and what hangs below it; *holders* are the sequences whose path runs through it."""

    edge: Tokens
    parent: _Node | None
    children: dict[int, _Node] = field(default_factory=dict[int, "_Node"])
    holders: set[int] = field(default_factory=set[int])


@dataclass(frozen=True, slots=True)
class Match:
    """The longest known prefix: *length* tokens, held by sequence *holder*."""

    holder: int
    length: int


class PrefixTree:
    """Maps token paths to the sequences that hold them."""

    def __init__(self) -> None:
        self._root = _Node((), None)
        self._ends: dict[int, _Node] = {}
        self._lengths: dict[int, int] = {}  # in order of last use, oldest first

    def __repr__(self) -> str:
        return f"<PrefixTree {len(self._ends)} holders, {sum(1 for _ in self._nodes())} nodes>"

    def __contains__(self, holder: int) -> bool:
        return holder in self._ends

    def length(self, holder: int) -> int:
        """Return how many tokens *holder* holds, 0 if it is not known."""
        return self._lengths.get(holder, 0)

    def holders(self) -> list[int]:
        """Return all holders, the one not used for longest first."""
        return list(self._lengths)

    def insert(self, holder: int, tokens: Tokens) -> None:
        """Let *holder* hold exactly *tokens*, in place of what it held before."""
        self.remove(holder)
        self._lengths[holder] = len(tokens)
        node, rest = self._root, tokens
        while rest:
            child = node.children.get(rest[0])
            if child is None:
                child = node.children[rest[0]] = _Node(rest, node)
                rest = ()
            else:
                shared = common_length(child.edge, rest)
                if shared < len(child.edge):
                    child = self._split(child, shared)
                rest = rest[shared:]
            child.holders.add(holder)
            node = child
        self._ends[holder] = node

    def remove(self, holder: int) -> None:
        """Forget *holder*; unknown ones are ignored."""
        node = self._ends.pop(holder, None)
        self._lengths.pop(holder, None)
        while node is not None:
            node.holders.discard(holder)
            parent = node.parent
            if parent is not None and not node.holders:
                del parent.children[node.edge[0]]
            elif parent is not None and len(node.children) == 1:
                self._join(node)
            node = parent

    def rename(self, holder: int, new: int) -> None:
        """Let *new* hold what *holder* held, as long unused as that."""
        self._lengths = {new if h == holder else h: length for h, length in self._lengths.items()}
        node = self._ends[new] = self._ends.pop(holder)
        while True:
            node.holders.discard(holder)
            node.holders.add(new)
            if node.parent is None:
                return
            node = node.parent

    def touch(self, holder: int) -> None:
        """Note that *holder* was used just now."""
        if holder in self._lengths:
            self._lengths[holder] = self._lengths.pop(holder)

    def match(self, tokens: Tokens, *, prefer: Callable[[int], bool] | None = None) -> Match | None:
        """Return the longest prefix of *tokens* that somebody holds, None if nobody holds any.

        Of several holders one that *prefer* accepts is named, if there is one.
        """
        node, rest, found = self._root, tokens, 0
        while rest:
            child = node.children.get(rest[0])
            if child is None:
                break
            shared = common_length(child.edge, rest)
            found += shared
            node = child
            if shared < len(child.edge):
                break
            rest = rest[shared:]
        if not found:
            return None
        preferred = [holder for holder in node.holders if prefer is None or prefer(holder)]
        # The lowest number, so that the same history always gives the same choice.
        return Match(min(preferred or node.holders), found)

    def covered(self, holder: int) -> list[int]:
        """Return the other holders whose whole path is a prefix of *holder*'s."""
        on_path: set[int] = set()
        node = self._ends.get(holder)
        while node is not None:
            on_path.add(id(node))
            node = node.parent
        return [other for other, end in self._ends.items() if other != holder and id(end) in on_path]

    def _split(self, node: _Node, at: int) -> _Node:
        """Cut *node*'s edge after *at* tokens; return the new upper half."""
        upper = _Node(node.edge[:at], node.parent, {node.edge[at]: node}, set(node.holders))
        if node.parent is not None:  # only the root has none, and the root has no edge to cut
            node.parent.children[upper.edge[0]] = upper
        node.edge, node.parent = node.edge[at:], upper
        return upper

    def _join(self, node: _Node) -> None:
        """Merge *node* with its only child, unless some path ends at *node*."""
        (child,) = node.children.values()
        if child.holders != node.holders:
            return
        node.edge += child.edge
        node.children = child.children
        for grandchild in node.children.values():
            grandchild.parent = node
        for holder in child.holders:
            if self._ends.get(holder) is child:
                self._ends[holder] = node

    def _nodes(self) -> Iterator[_Node]:
        waiting = list(self._root.children.values())
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(node.children.values())


def common_length(one: Tokens, other: Tokens) -> int:
    """Return how many leading tokens *one* and *other* share.

    Comparing slices runs in C: a thousand equal tokens cost microseconds, not a Python loop.
    """
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low
