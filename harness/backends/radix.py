"""Requests as a radix tree, and the tree cut into packs, so that a shared token goes through a model once. No torch."""

from __future__ import annotations

import hashlib
import itertools
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assay.tasks.types import Ids

ID = array("i").itemsize
COPIED = 32
"""A prefix shorter than a pack by this factor is forwarded again in each: cheaper than attending to a cache of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The log-probability of a continuation after a context, both token ids, neither empty."""

    context: Ids
    continuation: Ids

    @property
    def tokens(self) -> int:
        """What has to be forwarded for it alone: the last id is only predicted."""
        return len(self.context) + len(self.continuation) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A token of a continuation. `row`: within the node that predicts it. `at`: among all tokens of all requests."""

    row: int
    token: int
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Ids that follow the parent's, up to where requests part.

    Attributes:
        parent: index of the node before it, -1 at the root.
        depth: tokens before it.
        end: index after its last descendant; nodes are in depth-first order.
        targets: what its rows predict.
    """

    parent: int
    depth: int
    ids: array[int]
    end: int
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """What one forward pass takes: one row of nodes, depth first, after cached ones.

    Attributes:
        prefix: nodes whose keys and values are cached, root first.
        nodes: those that are forwarded.
        fresh: those of them that were in no pack before, whose targets are due.
        kept: its keys and values are the prefix of packs that follow.
    """

    prefix: tuple[int, ...]
    nodes: tuple[int, ...]
    fresh: tuple[int, ...]
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large a pack may be; what can't be parted is larger.

    Attributes:
        tokens: forwarded in it.
        rows: of logits.
        node: ids in one node; longer ones are parted.
    """

    tokens: int
    rows: int
    node: int = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Packs in the order in which they have to be forwarded."""

    nodes: Sequence[Node]
    packs: Sequence[Pack]

    @property
    def unique(self) -> int:
        """Tokens of the tree."""
        return sum(len(n.ids) for n in self.nodes)


def unique(asked: Sequence[Asked]) -> int:
    """The fewest tokens that can be forwarded for all requests: those that follow what the one before shares."""
    ordered = sorted((array("i", a.context) + array("i", a.continuation)[:-1]).tobytes() for a in asked)
    before = [b"", *ordered]
    return sum(len(text) // ID - _shared(last, text) for last, text in zip(before, ordered, strict=False))


class Plans:
    """Plans of earlier requests, for the other checkpoints of a series: whoever shares a tokenizer asks the same."""

    def __init__(self, capacity: int) -> None:
        self._capacity, self._held = capacity, 0
        self._plans: OrderedDict[tuple[bytes, Limits], Plan] = OrderedDict()

    def get(self, asked: Sequence[Asked], limits: Limits) -> Plan:
        """The plan for these requests, made when it is not held; the oldest make room.

        Args:
            asked: requests.
            limits: of a pack.
        """
        key = (_digest(asked), limits)
        if key not in self._plans:
            self._plans[key] = plan(asked, limits)
            self._held += self._plans[key].unique
            while self._held > self._capacity and len(self._plans) > 1:
                self._held -= self._plans.popitem(last=False)[1].unique
        return self._plans[key]


def _digest(asked: Sequence[Asked]) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    for a in asked:
        for ids in (a.context, a.continuation):
            found.update(len(ids).to_bytes(8, "little"))
            found.update(array("i", ids).tobytes())
    return found.digest()


def plan(asked: Sequence[Asked], limits: Limits) -> Plan:
    """The packs that score all requests; where a request's tokens stand among the targets is their order."""
    longest = max((len(a.continuation) for a in asked), default=0)
    node = min(limits.node, limits.rows if longest > limits.rows else limits.node)
    nodes = tree(asked, node)
    return Plan(nodes=nodes, packs=tuple(_cut(nodes, limits)))


def tree(asked: Sequence[Asked], longest: int = 1 << 30) -> list[Node]:
    """The radix tree of all requests, in depth-first order.

    Args:
        asked: requests.
        longest: ids in a node; a longer one becomes a chain.
    """
    texts: dict[bytes, list[int]] = {}
    for i, a in enumerate(asked):
        texts.setdefault((array("i", a.context) + array("i", a.continuation)[:-1]).tobytes(), []).append(i)
    ordered = sorted(texts)
    shared = [0, *(_shared(a, b) for a, b in itertools.pairwise(ordered)), 0]
    parents: list[int] = []
    spans: list[tuple[int, int, bytes]] = []
    leaves: list[tuple[bytes, int]] = []
    todo = _parted(shared, 0, len(ordered), 0, -1)
    while todo:
        first, last, depth, parent = todo.pop()
        fork = min(shared[first + 1 : last], default=len(ordered[first]) // ID)
        end = min(fork, depth + longest)
        node = len(spans)
        parents.append(parent)
        spans.append((depth, end, ordered[first]))
        if end < fork:
            todo.append((first, last, end, node))
            continue
        if len(ordered[first]) == end * ID:
            leaves.append((ordered[first], node))
            first += 1
        todo += _parted(shared, first, last, end, node)
    targets = _targets(asked, texts, leaves, parents, spans)
    ends = list(range(1, len(spans) + 1))
    for i in reversed(range(len(spans))):
        if parents[i] >= 0:
            ends[parents[i]] = max(ends[parents[i]], ends[i])
    return [
        Node(
            parent=parents[i],
            depth=begin,
            ids=array("i", text[begin * ID : end * ID]),
            end=ends[i],
            targets=tuple(targets[i]),
        )
        for i, (begin, end, text) in enumerate(spans)
    ]


def _shared(a: bytes, b: bytes) -> int:
    """Ids that two texts have in common at their beginning; by halves, since comparing bytes is fast."""
    low, high = 0, min(len(a), len(b)) // ID
    while low < high:
        middle = (low + high + 1) // 2
        if a[low * ID : middle * ID] == b[low * ID : middle * ID]:
            low = middle
        else:
            high = middle - 1
    return low


def _parted(shared: Sequence[int], first: int, last: int, depth: int, parent: int) -> list[tuple[int, int, int, int]]:
    """Texts first..last, alike up to `depth`, by their next id; the first group is last, for a stack."""
    borders = [first, *(i for i in range(first + 1, last) if shared[i] == depth), last]
    groups = [(a, b, depth, parent) for a, b in itertools.pairwise(borders) if a < b]
    return groups[::-1]


def _targets(
    asked: Sequence[Asked],
    texts: dict[bytes, list[int]],
    leaves: Sequence[tuple[bytes, int]],
    parents: Sequence[int],
    spans: Sequence[tuple[int, int, bytes]],
) -> list[list[Target]]:
    """Each token of each continuation, at the node that holds the id before it."""
    found: list[list[Target]] = [[] for _ in spans]
    first, total = [], 0
    for a in asked:
        first.append(total)
        total += len(a.continuation)
    for text, leaf in leaves:
        for i in texts[text]:
            before = len(asked[i].context) - 1
            node = leaf
            while node >= 0 and spans[node][1] > before:
                begin, end, _ = spans[node]
                for row in range(max(begin, before), end):
                    j = row - before
                    found[node].append(Target(row=row - begin, token=asked[i].continuation[j], at=first[i] + j))
                node = parents[node]
    return found


def _cut(nodes: Sequence[Node], limits: Limits) -> Iterator[Pack]:
    """Subtrees that fit share a pack; the head of one that does not is forwarded before what follows it."""
    tokens = [len(n.ids) for n in nodes]
    own = [len({t.row for t in n.targets}) for n in nodes]
    rows = list(own)
    children: list[list[int]] = [[] for _ in nodes]
    roots = [i for i, n in enumerate(nodes) if n.parent < 0]
    for i in reversed(range(len(nodes))):
        parent = nodes[i].parent
        if parent >= 0:
            tokens[parent] += tokens[i]
            rows[parent] += rows[i]
            children[parent].insert(0, i)
    seen: set[int] = set()

    def pack(prefix: tuple[int, ...], chosen: Sequence[int], *, kept: bool = False) -> Pack:
        fresh = tuple(i for i in chosen if i not in seen)
        seen.update(fresh)
        return Pack(prefix=prefix, nodes=tuple(chosen), fresh=fresh, kept=kept)

    todo: list[tuple[tuple[int, ...], tuple[int, ...], list[int]]] = [((), (), roots)]
    while todo:
        prefix, copied, siblings = todo.pop()
        room = Limits(
            tokens=limits.tokens - sum(len(nodes[i].ids) for i in copied),
            rows=limits.rows - sum(own[i] for i in copied),
        )
        small = [i for i in siblings if tokens[i] <= room.tokens and rows[i] <= room.rows]
        if len(siblings) == 1 and not small:  # the head of a subtree
            (node,) = siblings
            head = (*copied, node)
            if children[node] and sum(len(nodes[i].ids) for i in head) * COPIED <= limits.tokens:
                todo.append((prefix, head, children[node]))
                continue
            yield pack(prefix, head, kept=bool(children[node]))
            if children[node]:
                todo.append(((*prefix, *head), (), children[node]))
            continue
        for group in _filled(small, tokens, rows, room):
            yield pack(prefix, [*copied, *(j for i in group for j in range(i, nodes[i].end))])
        large = set(siblings) - set(small)
        todo += [(prefix, copied, [i]) for i in reversed(siblings) if i in large]


def _filled(small: Sequence[int], tokens: Sequence[int], rows: Sequence[int], room: Limits) -> Iterator[list[int]]:
    """Neighbours, as many as there is room for."""
    group: list[int] = []
    filled = (0, 0)
    for i in small:
        filled = (filled[0] + tokens[i], filled[1] + rows[i])
        if group and (filled[0] > room.tokens or filled[1] > room.rows):
            yield group
            group, filled = [], (tokens[i], rows[i])
        group.append(i)
    if group:
        yield group
