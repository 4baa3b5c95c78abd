"""Traces that are replaced, pages, facets and rollups, against a model in plain Python."""

import math
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.unit.store.values import APP, BASE, CANDIDATE, OTHER, assigned, exposure, score, trace

from inchworm.domain.errors import NotFoundError, UsageError
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.outcome import Errored, Failed, Ok, Outcome, Score, Scored, Unscored
from inchworm.domain.trace import Trace
from inchworm.store.traces import TraceFilter, TracesPut, TraceStore, numbers, rollups

HOUR = 3_600.0
METRICS = ("right", "short")


@pytest.fixture
def store(tmp_path):
    with TraceStore.open(tmp_path / "t.duckdb") as opened:
        yield opened


# --- replacing


def test_a_replaced_trace_keeps_its_number_scores_and_cluster(store):
    store.add_traces([trace(1, scores=(score(0.5),)), trace(2)], cluster={trace(1).id: "prices"})
    told = trace(1, output="more", at=5_000.0, outcome=Failed(reason="late"), scores=(score(0.5, at=9.0),))
    assert store.put_traces([told, trace(2), trace(3)]) == TracesPut(new=1, replaced=1, duplicate=1)
    assert store.trace(APP, told.id) == replace(told, scores=(score(0.5),))  # the same result is no news
    assert store.clusters(APP) == {trace(1).id: "prices"}
    assert [one.id for one in store.arrived_after(APP, 0).traces] == [trace(n).id for n in (1, 2, 3)]
    assert store.put_traces([told], cluster={told.id: "returns"}) == TracesPut(new=0, replaced=0, duplicate=1)
    assert store.clusters(APP) == {trace(1).id: "returns"}
    assert store.facets(APP)["outcome"] == [("ok", 2), ("failed", 1)]


def test_a_new_result_from_the_same_source_is_appended_and_counts(store):
    store.put_traces([trace(1, scores=(score(0.0, at=1.0),))])
    store.put_traces([trace(1, scores=(score(1.0, at=2.0), score(0.25, source="human:ana", at=0.5)))])
    assert store.trace(APP, trace(1).id).scores == (
        score(1.0, at=2.0),
        score(0.25, source="human:ana", at=0.5),
    )
    rows = store.summary(APP, by="configuration", metrics=["right"], since=0.0, until=9e9)
    assert rows[0].metrics["right"].mean == 1.0


def test_of_one_that_is_twice_in_the_batch_the_last_is_stored_with_all_scores(store):
    batch = [trace(1, scores=(score(),)), trace(1, output="x", scores=(score(metric="short"),)), trace(1)]
    assert store.put_traces(batch) == TracesPut(new=1, replaced=2, duplicate=0)
    assert store.trace(APP, trace(1).id) == trace(1, scores=(score(), score(metric="short")))
    assert store.put_traces([]) == TracesPut(new=0, replaced=0, duplicate=0)


def test_the_monitor_sees_what_is_told_anew(store):
    store.add_exposures([exposure(n) for n in range(4)])
    store.add_traces([assigned(n) for n in range(4)])
    ask: dict[str, Any] = {"start": 0, "matured_before": 9e9, "limit": 10}
    assert store.units(RolloutId("r-1"), **ask).failed.tolist() == [0.0] * 4
    store.put_traces([assigned(2, outcome=Failed(reason="x"), latency_ms=77.0)])
    rows = store.units(RolloutId("r-1"), **ask)
    assert rows.failed.tolist() == [0.0, 0.0, 1.0, 0.0]
    assert rows.latency_ms.values.tolist() == [0.0, 10.0, 77.0, 30.0]
    assert store.arrived(RolloutId("r-1"), before=4, since=4).seen == 4, "it is no late arrival"


def test_an_assignment_that_is_known_later_is_counted(store):
    store.put_traces([trace(1, configuration_id=None)])
    store.put_traces([assigned(1)])
    assert store.facets(APP)["arm"] == [("candidate", 1)]
    assert [one.id for one in store.seen(APP)] == [BASE.id]
    assert store.traces(APP, filters=TraceFilter(rollout=RolloutId("r-1"))).total == 1


def test_a_score_by_its_id_takes_the_place_of_another_also_at_another_trace(store):
    one, two = trace(1).id, trace(2).id
    store.add_traces([trace(1), trace(2)])
    assert store.add_scores([(APP, one, score(0.0, at=1.0, id="a")), (APP, one, score(0.5, at=0.5))]) == 2
    assert store.add_scores([(APP, one, score(1.0, at=2.0, id="a"))]) == 1
    assert store.add_scores([(APP, one, score(0.0, at=1.0, id="a"))]) == 0, "it is not the later one"
    store.add_scores([(APP, two, score(0.25, at=3.0, id="b"))])
    assert counted(store) == {one: (1, 1.0), two: (1, 0.25)}
    assert store.add_scores([(APP, one, score(0.75, at=3.0, id="b"))]) == 1
    assert counted(store) == {one: (1, 0.75)}
    assert store.trace(APP, two).scores == ()
    store.add_traces([trace(3, scores=(score(1.0, at=4.0, id="b"),))])
    assert counted(store) == {one: (1, 1.0), trace(3).id: (1, 1.0)}
    found = store.scores_by_id(APP, {"a", "b", "none"})
    assert {name: (id_, said.at) for name, (id_, said) in found.items()} == {
        "a": (one, 2.0),
        "b": (trace(3).id, 4.0),
    }


def counted(store: TraceStore) -> dict[str, tuple[int, float]]:
    """How many scores there are of each trace by now, and their mean; the same with rollups made anew."""
    ask: dict[str, Any] = {"by": "configuration", "metrics": ["right"], "since": 0.0, "until": 9e9}
    kept = store.summary(APP, **ask), store.facets(APP, TraceFilter())
    with store._db.write() as run:
        rollups.rebuild(run)
    assert kept == (store.summary(APP, **ask), store.facets(APP, TraceFilter()))
    with store._db.read() as run:
        rows = run.rows(
            "SELECT id, count(*), max(value) FROM (SELECT t.id, s.value FROM scores s JOIN traces t "
            "USING (number) WHERE s.latest) GROUP BY id"
        )
        scored = run.rows("SELECT id FROM traces WHERE scored")
    assert {id_ for (id_,) in scored} == {id_ for id_, _, _ in rows}
    return {id_: (n, value) for id_, n, value in rows}


def test_a_number_is_not_given_twice_after_a_deletion(store):
    store.add_traces([trace(n) for n in range(3)])
    seen = store.arrived_after(APP, None).seen
    with store._db.write() as run:
        numbers.keep(run)
        with rollups.changing(run, [3]):
            run("DELETE FROM traces WHERE number = 3")
            run("DELETE FROM payloads WHERE number = 3")
    store.add_traces([trace(7)])
    assert [one.id for one in store.arrived_after(APP, seen).traces] == [trace(7).id]
    assert store.count(APP) == 3


# --- following


def test_what_came_in_is_followed_without_gaps_or_repeats(store):
    assert store.arrived_after(APP, None).seen == 0
    store.add_traces([trace(n, at=9_000.0 - n) for n in range(7)])
    store.add_traces([replace(trace(1), app=OTHER)])
    seen, found = 0, []
    while got := store.arrived_after(APP, seen, limit=3):
        if not got.traces:
            break
        found += [one.id for one in got.traces]
        seen = got.seen
    assert found == [trace(n).id for n in range(7)]
    assert got.seen == 8, "what was of others has been looked at"
    store.add_traces([trace(50), trace(51, outcome=Failed(reason="x"))])
    only = store.arrived_after(APP, 8, filters=TraceFilter(outcome="failed"))
    assert [one.id for one in only.traces] == [trace(51).id]
    assert only.seen == store.arrived_after(APP, None).seen == 10


# --- what is sought


def test_every_filter_finds_its_own(store):
    said = {"gen_ai.response.model": "m-1", "inchworm.call": "answer", "inchworm.source": "langfuse"}
    store.add_traces(
        [
            trace(1, attributes=said, scores=(score(0.25),)),
            trace(2, attributes={"gen_ai.request.model": "m-2", "inchworm.incomplete": True, 'a/b~"': "x"}),
            trace(
                3, outcome=Errored(reason="x"), unit_id=UnitId("ana"), scores=(score(0.75), score(metric="s"))
            ),
            trace(4, outcome=Failed(reason="x"), attributes={"region": "us", "n": 3}),
            trace(5, scores=(replace(score(), result=Unscored(reason="none")),)),
        ]
    )
    for filters, numbers_ in (
        (TraceFilter(model="m-1"), {1}),
        (TraceFilter(model="m-2"), {2}),
        (TraceFilter(call="answer"), {1}),
        (TraceFilter(source="langfuse"), {1}),
        (TraceFilter(incomplete=True), {2}),
        (TraceFilter(incomplete=False), {1, 3, 4, 5}),
        (TraceFilter(unit=UnitId("ana")), {3}),
        (TraceFilter(not_ok=True), {3, 4}),
        (TraceFilter(min_latency_ms=40.0), {4, 5}),
        (TraceFilter(metric_between=("right", 0.25, 0.75)), {1, 3}),
        (TraceFilter(metric_between=("right", 0.5, 1.0)), {3}),
        (TraceFilter(scored=True), {1, 3, 5}),
        (TraceFilter(scored=False), {2, 4}),
        (TraceFilter(attribute=("region", "us")), {4}),
        (TraceFilter(attribute=("region", "eu")), {3, 5}),
        (TraceFilter(attribute=("n", "3"), outcome="failed"), {4}),
        (TraceFilter(attribute=('a/b~"', "x")), {2}),
        (TraceFilter(attribute=("gen_ai.response.model", "m-1"), text="IS 1"), {1}),
        (TraceFilter(text="IS 1", not_ok=True), set()),
    ):
        page = store.traces(APP, filters=filters)
        assert {int(one.id[-4:]) for one in page.traces} == numbers_, filters
        assert (page.total, page.searched) == (len(numbers_), None)
        assert sum(n for _, n in store.facets(APP, filters)["outcome"]) == len(numbers_)
        assert {one.id for some in store.iterate(APP, filters=filters, batch=2) for one in some} == {
            trace(n).id for n in numbers_
        }
    facets = store.facets(APP)
    assert facets["model"] == [("m-1", 1), ("m-2", 1)]
    assert facets["call"] == [("answer", 1)]
    assert facets["source"] == [("langfuse", 1)]
    assert facets["metric"] == [("right", 3), ("s", 1)]
    assert store.facets(APP, TraceFilter(not_ok=True))["metric"] == [("right", 1), ("s", 1)]
    assert store.facets(APP, TraceFilter(unit=UnitId("ana")))["metric"] == [("right", 1), ("s", 1)]


def test_a_bounded_search_says_so(store, monkeypatch):
    monkeypatch.setattr("inchworm.store.traces.counted.TEXT_SCAN", 3)
    store.add_traces([trace(n, at=HOUR * n) for n in range(8)])
    page = store.traces(APP, filters=TraceFilter(text="what is"))
    assert [one.id for one in page.traces] == [trace(n).id for n in (7, 6, 5)]
    assert (page.total, page.searched) == (3, 3)
    early = store.traces(APP, filters=TraceFilter(text="what is", until=HOUR * 2.5))
    assert (early.total, early.searched) == (3, None)
    slow = store.traces(APP, filters=TraceFilter(text="what is", min_latency_ms=0.0))
    assert (slow.total, slow.searched) == (3, 3)


# --- against a model

TIMES = st.integers(0, 4 * 96).map(lambda quarter: quarter * HOUR / 4)
RESULTS = st.sampled_from([Scored(value=0.0), Scored(value=0.1), Scored(value=1.0), Unscored(reason="none")])
SCORES = st.builds(
    Score,
    metric=st.sampled_from(METRICS),
    result=RESULTS,
    source=st.sampled_from(["code:x/1", "human:ana"]),
    at=st.sampled_from([1.0, 2.0, 3.0]),
)
OUTCOMES: tuple[Outcome, ...] = (Ok(), Failed(reason="x"), Errored(reason="x"))
ATTRIBUTES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"gen_ai.request.model": "a"}, {"inchworm.call": "c"}, {"inchworm.incomplete": True}]
)


@st.composite
def told(draw: st.DrawFn) -> Trace:
    n = draw(st.integers(0, 11))
    made = assigned(n) if draw(st.booleans()) else trace(n)
    return replace(
        made,
        at=draw(TIMES),
        configuration_id=draw(st.sampled_from([None, BASE.id, CANDIDATE.id])),
        outcome=draw(st.sampled_from(OUTCOMES)),
        attributes=draw(ATTRIBUTES),
        shadow_of=TraceId("seen") if draw(st.integers(0, 5)) == 0 else None,
        scores=tuple(draw(st.lists(SCORES, max_size=2))),
    )


class Model(RuleBasedStateMachine):
    """Whatever was done: pages, facets, counts and means are those of the traces that are there."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "t.duckdb"
        self.store = TraceStore.open(self.path)
        self.traces: dict[str, Trace] = {}
        self.scores: dict[str, list[Score]] = {}
        self.clusters: dict[str, str] = {}

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    @rule(batch=st.lists(told(), max_size=5))
    def add(self, batch: list[Trace]) -> None:
        added = self.store.add_traces(batch)
        new = 0
        for one in batch:
            if one.id not in self.traces:
                new += 1
                self.traces[one.id] = replace(one, scores=())
                self.scores[one.id] = list(one.scores)
        assert (added.new, added.duplicate) == (new, len(batch) - new)

    @rule(batch=st.lists(told(), max_size=5), cluster=st.none() | st.sampled_from("ab"))
    def put(self, batch: list[Trace], cluster: str | None) -> None:
        names = {} if cluster is None else {one.id: cluster for one in batch[:2]}
        put = self.store.put_traces(batch, cluster=names)
        found = Counter[str]()
        for one in batch:
            content = replace(one, scores=())
            before = self.traces.get(one.id)
            found["new" if before is None else "duplicate" if before == content else "replaced"] += 1
            self.traces[one.id] = content
            kept = self.scores.setdefault(one.id, [])
            for brought in one.scores:
                if self._latest(kept, brought.metric, brought.source) != brought.result:
                    kept.append(brought)
            if one.id in names:
                self.clusters[one.id] = names[one.id]
        assert put == TracesPut(new=found["new"], replaced=found["replaced"], duplicate=found["duplicate"])

    @rule(pairs=st.lists(st.tuples(st.integers(0, 11), SCORES), max_size=4))
    def rate(self, pairs: list[tuple[int, Score]]) -> None:
        known = [(trace(n).id, one) for n, one in pairs if trace(n).id in self.traces]
        self.store.add_scores([(APP, id_, one) for id_, one in known])
        for id_, one in known:
            if one not in self.scores[id_]:
                self.scores[id_].append(one)

    @rule(names=st.dictionaries(st.integers(0, 11), st.sampled_from("abc"), max_size=4))
    def name(self, names: dict[int, str]) -> None:
        self.store.set_clusters(APP, {trace(n).id: name for n, name in names.items()})
        self.clusters |= {trace(n).id: name for n, name in names.items() if trace(n).id in self.traces}

    @rule()
    def tidy(self) -> None:
        with self.store._db.write() as run:
            rollups.tidy(run, loose=0)

    @rule()
    def rebuild(self) -> None:
        with self.store._db.write() as run:
            rollups.rebuild(run)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = TraceStore.open(self.path)

    @rule(n=st.integers(0, 11))
    def delete(self, n: int) -> None:
        id_ = trace(n).id
        with self.store._db.write() as run:
            gone = [number for (number,) in run.rows("SELECT number FROM traces WHERE id = ?", [id_])]
            numbers.keep(run)
            with rollups.changing(run, gone):
                for name in ("scores", "payloads", "traces"):
                    run(f"DELETE FROM {name} WHERE list_contains(?::BIGINT[], number)", [gone])  # noqa: S608
        for kept in (self.traces, self.scores, self.clusters):
            kept.pop(id_, None)

    @rule(since=st.none() | TIMES, length=TIMES, limit=st.integers(1, 4), filters=st.integers(0, 6))
    def page(self, since: float | None, length: float, limit: int, filters: int) -> None:
        until = None if since is None else since + length
        asked = (
            TraceFilter(),
            TraceFilter(outcome="failed"),
            TraceFilter(cluster="a"),
            TraceFilter(configuration=BASE.id, not_ok=True),
            TraceFilter(call="c"),
            TraceFilter(metric_below=("right", 0.5)),
            TraceFilter(min_latency_ms=40.0, incomplete=False),
        )[filters]
        asked = replace(asked, since=since, until=until)
        wanted = sorted(
            (one for one in self.traces.values() if self._passes(one, asked)),
            key=lambda one: (one.at, one.id),
            reverse=True,
        )
        found: list[Trace] = []
        after = None
        while True:
            page = self.store.traces(APP, filters=asked, after=after, limit=limit)
            assert page.total == len(wanted)
            found += page.traces
            after = page.next_cursor
            if after is None:
                break
        assert [replace(one, scores=()) for one in found] == wanted
        facets = self.store.facets(APP, asked)
        for facet, value in (("outcome", self._outcome), ("cluster", lambda one: self.clusters.get(one.id))):
            counted = Counter(value(one) for one in wanted if value(one) is not None)
            assert dict(facets[facet]) == counted
        assert dict(facets["metric"]) == Counter(
            metric for one in wanted for metric in METRICS if self._score(one, metric) is not None
        )

    @rule(since=TIMES, length=TIMES, width=st.sampled_from([HOUR, HOUR / 2, 6 * HOUR]))
    def means(self, since: float, length: float, width: float) -> None:
        until = since + length
        within = [one for one in self._seen() if since <= one.at < until]
        for metric in (None, "right"):
            expected: dict[int, list[float]] = {}
            for one in within:
                value = self._value(one, metric)
                if value is not None:
                    expected.setdefault(math.floor((one.at - since) / width), []).append(value)
            bins = self.store.quality(APP, metric=metric, since=since, until=until, width_s=width)
            assert [(one.start, one.n) for one in bins] == [
                (since + place * width, len(values)) for place, values in sorted(expected.items())
            ]
            assert [one.total for one in bins] == pytest.approx(
                [math.fsum(v) for _, v in sorted(expected.items())]
            )
        rows = self.store.summary(APP, by="cluster", metrics=["right"], since=since, until=until)
        for row in rows:
            mine = [one for one in within if self.clusters.get(one.id) == row.key]
            values = [value for one in mine if (value := self._value(one, "right")) is not None]
            assert (row.n, row.metrics["right"].scored) == (len(mine), len(values))
            if values:
                assert row.metrics["right"].mean == pytest.approx(math.fsum(values) / len(values))
        assert sum(row.n for row in rows) == len(within)

    @invariant()
    def counted(self) -> None:
        if not hasattr(self, "store"):
            return
        seen = self._seen()
        assert self.store.count(APP) == len(seen)
        times = [one.at for one in seen]
        assert self.store.period(APP) == ((min(times), max(times)) if times else None)
        expected = Counter(one.configuration_id for one in seen)
        found = self.store.seen(APP)
        assert {one.id: one.n for one in found} == expected
        for one in found:
            mine = [trace_.at for trace_ in seen if trace_.configuration_id == one.id]
            assert (one.first, one.last) == (min(mine), max(mine))
        assert [one.last for one in found] == sorted((one.last for one in found), reverse=True)

    def _seen(self) -> list[Trace]:
        return [one for one in self.traces.values() if one.shadow_of is None]

    @staticmethod
    def _outcome(one: Trace) -> str:
        return type(one.outcome).__name__.lower()

    @staticmethod
    def _latest(scores: list[Score], metric: str, source: str | None) -> Any:
        mine = [one for one in scores if one.metric == metric and (source is None or one.source == source)]
        last = None
        for one in mine:
            if last is None or one.at >= last.at:
                last = one
        return None if last is None else last.result

    def _score(self, one: Trace, metric: str) -> Any:
        return self._latest(self.scores[one.id], metric, None)

    def _value(self, one: Trace, metric: str | None) -> float | None:
        if metric is None:
            return {"ok": 1.0, "failed": 0.0}.get(self._outcome(one))
        result = self._score(one, metric)
        return result.value if isinstance(result, Scored) else None

    def _passes(self, one: Trace, asked: TraceFilter) -> bool:
        value = None if asked.metric_below is None else self._value(one, asked.metric_below[0])
        return (
            one.shadow_of is None
            and (asked.since is None or one.at >= asked.since)
            and (asked.until is None or one.at < asked.until)
            and (asked.outcome is None or self._outcome(one) == asked.outcome)
            and (asked.cluster is None or self.clusters.get(one.id) == asked.cluster)
            and (asked.configuration is None or one.configuration_id == asked.configuration)
            and (asked.call is None or one.call == asked.call)
            and (not asked.not_ok or not isinstance(one.outcome, Ok))
            and (asked.metric_below is None or (value is not None and value < asked.metric_below[1]))
            and (asked.min_latency_ms is None or (one.latency_ms or 0.0) >= asked.min_latency_ms)
            and (
                asked.incomplete is None
                or (one.attributes.get("inchworm.incomplete") is True) == asked.incomplete
            )
        )


Model.TestCase.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)
TestAgainstAModel = Model.TestCase


def test_a_beginning_is_found_among_many_that_begin_alike(store, monkeypatch):
    monkeypatch.setattr("inchworm.store.traces.read._ALIKE", 2)
    store.add_traces([trace(n) for n in range(5)] + [trace(9, id=TraceId("träce-ü-1"))])
    assert store.trace(APP, "träce-") == trace(9, id=TraceId("träce-ü-1"))
    assert store.trace(APP, "träc") == trace(9, id=TraceId("träce-ü-1"))
    with pytest.raises(UsageError, match=r"ambiguous: trace-0000, .*trace-0004$"):
        store.trace(APP, "trace-")
    with pytest.raises(NotFoundError):
        store.trace(APP, "trace-1")
