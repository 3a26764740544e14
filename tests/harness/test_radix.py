"""Requests as a radix tree cut into packs: whatever is asked, every token is predicted from its own prefix, once."""

import random

import pytest

from assay.harness.backends import radix
from assay.harness.backends.radix import Asked, Limits, Plans, plan, tree

FREE = Limits(tokens=1 << 30, rows=1 << 30)


def few_letters(seed):
    """Requests over three ids: shared, nested and identical ones abound, at every length."""
    rng = random.Random(seed)

    def ids(most):
        return [rng.randrange(3) for _ in range(rng.randrange(1, most))]

    return [Asked(context=ids(9), continuation=ids(7)) for _ in range(rng.randrange(1, 25))]


def narrow(seed):
    rng = random.Random(f"limits/{seed}")
    return Limits(tokens=rng.randrange(1, 64), rows=rng.randrange(1, 20), node=rng.choice([1, 2, 5, 1 << 30]))


@pytest.fixture(params=[2, 32])
def cases(request, monkeypatch):
    """Requests and limits, where prefixes are cached and where they are forwarded again."""
    monkeypatch.setattr(radix, "COPIED", request.param)
    return [(few_letters(seed), narrow(seed)) for seed in range(400)]


def path(nodes, node):
    """The node and its ancestors, root first."""
    found = []
    while node >= 0:
        found.append(node)
        node = nodes[node].parent
    return tuple(found[::-1])


def predictions(nodes):
    """What each target is predicted from, and what it is."""
    found = {}
    for i, node in enumerate(nodes):
        before = [x for j in path(nodes, i)[:-1] for x in nodes[j].ids]
        assert len(before) == node.depth
        for t in node.targets:
            assert t.at not in found, "no token is predicted twice"
            found[t.at] = ([*before, *node.ids[: t.row + 1]], t.token)
    return found


def tokens(plan, pack):
    return sum(len(plan.nodes[i].ids) for i in pack.nodes)


def rows(plan, node):
    return len({t.row for t in plan.nodes[node].targets})


def test_every_token_of_a_continuation_is_predicted_from_exactly_its_own_prefix(cases):
    for asked, limits in cases:
        wanted = [
            ([*a.context, *a.continuation[:j]], a.continuation[j]) for a in asked for j in range(len(a.continuation))
        ]
        found = predictions(plan(asked, limits).nodes)
        assert [found[at] for at in range(len(wanted))] == wanted


def test_a_tree_holds_each_prefix_once(cases):
    for asked, limits in cases:
        texts = [[*a.context, *a.continuation][:-1] for a in asked]
        prefixes = {tuple(t[: i + 1]) for t in texts for i in range(len(t))}
        assert plan(asked, limits).unique == len(prefixes)


def test_nodes_are_in_depth_first_order_and_know_where_their_descendants_end(cases):
    for asked, limits in cases:
        nodes = tree(asked, limits.node)
        for i, node in enumerate(nodes):
            below = [j for j in range(len(nodes)) if i in path(nodes, j)]
            assert below == list(range(i, node.end))
            assert 1 <= len(node.ids) <= limits.node


def test_every_node_is_fresh_in_exactly_one_pack(cases):
    for asked, limits in cases:
        found = plan(asked, limits)
        fresh = [i for pack in found.packs for i in pack.fresh]
        assert sorted(fresh) == list(range(len(found.nodes)))
        assert all(set(pack.fresh) <= set(pack.nodes) for pack in found.packs)


def test_ancestors_of_a_packed_node_are_before_it_in_the_pack_or_cached(cases):
    for asked, limits in cases:
        found = plan(asked, limits)
        kept = {()}
        for pack in found.packs:
            assert pack.prefix in kept, "a prefix is cached before it is used"
            row = (*pack.prefix, *pack.nodes)
            assert list(row) == sorted(set(row)), "depth first"
            assert all(set(path(found.nodes, i)) <= set(row) for i in pack.nodes)
            if pack.kept:
                kept.add(row)
                assert row == path(found.nodes, row[-1]), "what is cached is one text"


def test_packs_keep_their_limits_but_for_what_cannot_be_parted(cases):
    for asked, limits in cases:
        found = plan(asked, limits)
        for pack in found.packs:
            chain = pack.nodes == path(found.nodes, pack.nodes[-1])[-len(pack.nodes) :]
            assert tokens(found, pack) <= limits.tokens or chain
            longest = max(len(a.continuation) for a in asked)
            assert sum(rows(found, i) for i in pack.fresh) <= max(limits.rows, longest) or chain


def test_a_continuation_longer_than_the_rows_limit_is_parted():
    limits = Limits(tokens=64, rows=4)
    found = plan([Asked(context=[7, 8, 9], continuation=list(range(30)))], limits)
    assert max(sum(rows(found, i) for i in pack.fresh) for pack in found.packs) == 4
    assert sum(tokens(found, pack) for pack in found.packs) == found.unique == 32


def examples(shots, documents, choices, words):
    """Few-shot questions: `shots` common tokens, a question of its own, choices of a few tokens."""
    rng = random.Random(f"{shots}/{documents}/{choices}")
    header = [rng.randrange(8192) for _ in range(shots)]
    for _ in range(documents):
        question = [rng.randrange(8192) for _ in range(rng.randrange(15, 60))]
        for _ in range(choices):
            yield Asked(context=[1, *header, *question], continuation=[rng.randrange(8192) for _ in range(words)])


@pytest.mark.parametrize(
    ("shots", "documents", "choices", "words"),
    [
        pytest.param(700, 100, 4, 5, id="ten-shot"),
        pytest.param(464, 100, 4, 1, id="letters"),
        pytest.param(3000, 50, 4, 3, id="a-header-of-many-packs"),
        pytest.param(0, 100, 2, 8, id="zero-shot"),
        pytest.param(0, 100, 1, 1, id="last-word"),
        pytest.param(20, 3, 4, 400, id="long-continuations"),
    ],
)
def test_no_more_than_a_tenth_is_forwarded_twice(shots, documents, choices, words):
    asked = list(examples(shots, documents, choices, words))
    for limits in (Limits(tokens=512, rows=512), Limits(tokens=4096, rows=1000)):
        found = plan(asked, limits)
        forwarded = sum(tokens(found, pack) for pack in found.packs)
        assert found.unique <= forwarded <= 1.1 * found.unique
        assert found.unique <= sum(a.tokens for a in asked)


def test_packs_are_filled():
    asked = list(examples(700, 100, 4, 5))
    found = plan(asked, Limits(tokens=512, rows=512))
    assert len(found.packs) <= 1.5 * found.unique / 512 + 2


def test_nothing_asked_is_nothing_planned():
    assert plan([], FREE).packs == ()


def test_what_is_asked_again_has_the_same_plan():
    plans = Plans(capacity=10_000)
    asked = few_letters(1)
    first = plans.get(asked, FREE)
    again = [Asked(context=tuple(a.context), continuation=tuple(a.continuation)) for a in asked]
    assert plans.get(again, FREE) is first
    assert plans.get(asked, Limits(tokens=8, rows=8)) is not first


def test_requests_that_differ_only_in_where_the_continuation_begins_have_plans_of_their_own():
    plans = Plans(capacity=10_000)
    found = [plans.get([Asked(context=[1, 2, 3, 4][:n], continuation=[1, 2, 3, 4][n:])], FREE) for n in (1, 2, 3)]
    assert [sum(len(n.targets) for n in p.nodes) for p in found] == [3, 2, 1]


def test_the_oldest_plans_make_room_and_the_last_is_always_held():
    def asked(i, size):
        return [Asked(context=[i, *range(size - 1)], continuation=[0])]

    plans = Plans(capacity=100)
    first, second = plans.get(asked(1, 40), FREE), plans.get(asked(2, 40), FREE)
    assert plans.get(asked(1, 40), FREE) is first
    plans.get(asked(3, 40), FREE)
    assert plans.get(asked(2, 40), FREE) is second
    assert plans.get(asked(1, 40), FREE) is not first
    large = plans.get(asked(4, 500), FREE)
    assert plans.get(asked(4, 500), FREE) is large
