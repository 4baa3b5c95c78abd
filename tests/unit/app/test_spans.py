"""The tree of spans."""

from hypothesis import given
from hypothesis import strategies as st

from inchworm.app.spans import period, tree
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import TraceId
from inchworm.domain.span import Span

APP = AppRef(app="shop", environment="production")
NAMES = [*"abcdefgh"]


def span(id_, parent=None, start=None, end=None):
    return Span(
        app=APP, trace_id=TraceId("t"), id=id_, parent_id=parent, started_at=start, ended_at=end, revision=0
    )


SPANS = st.dictionaries(
    st.sampled_from(NAMES),
    st.tuples(st.none() | st.sampled_from([*NAMES, "x"]), st.none() | st.floats(0, 9)),
).map(lambda found: [span(id_, parent, start) for id_, (parent, start) in found.items()])


@given(SPANS)
def test_every_span_stands_once_and_one_deeper_than_its_parent(spans):
    """Whatever spans say of their parents: themselves, one another, nobody."""
    found = tree(spans)
    assert sorted(one.span.id for one in found) == sorted(one.id for one in spans)
    path: list[str] = []
    for branch in found:
        del path[branch.depth :]
        assert branch.depth == len(path)
        if branch.depth:
            assert path[-1] == branch.span.parent_id
        path.append(branch.span.id)


@given(SPANS, st.randoms())
def test_the_order_in_which_they_came_does_not_matter(spans, random):
    mixed = [*spans]
    random.shuffle(mixed)
    assert tree(mixed) == tree(spans)


def test_children_follow_their_parent_in_the_order_of_their_starts():
    found = tree([span("c", "a", 3), span("b", "a", 2), span("d", "b", 5), span("a", None, 1)])
    assert [(one.span.id, one.depth) for one in found] == [("a", 0), ("b", 1), ("d", 2), ("c", 1)]


def test_a_parent_that_has_not_come_is_said():
    found = tree([span("b", "x", 2, 4), span("a", None, 1)])
    assert [(one.span.id, one.depth, one.lost) for one in found] == [("a", 0, False), ("b", 0, True)]
    assert [one.took_ms for one in found] == [None, 2_000]


def test_the_time_of_all_of_them():
    assert period([span("a"), span("b", None, 3, 4), span("c", None, 1)]) == (1, 4)
    assert period([span("a")]) is None
