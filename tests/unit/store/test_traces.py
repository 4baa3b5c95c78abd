import math
import resource
import shutil
import threading
from contextlib import contextmanager
from dataclasses import replace

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.store.values import APP, BASE, OTHER, assigned, exposure, score, trace

from inchworm.domain.errors import InputError, NotFoundError, StoreError, UsageError
from inchworm.domain.ids import ConfigurationId, RolloutId, TraceId, UnitId
from inchworm.domain.outcome import Errored, Failed, Ok, Score, Scored, Unscored
from inchworm.domain.trace import Arm, Trace, Usage
from inchworm.store.traces import Added, MetricMean, TraceFilter, TraceStore

ROLLOUT = RolloutId("r-1")
DAY = 86_400.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "traces.duckdb"


@pytest.fixture
def store(path):
    with TraceStore.open(path) as opened:
        yield opened


def all_of(store, app=APP, **more):
    return [one for some in store.iterate(app, **more) for one in some]


# --- the file


def test_it_survives_being_closed(path):
    with TraceStore.open(path) as first:
        first.add_traces([trace(1, scores=(score(),))])
        first.add_exposures([exposure(0)])
    with TraceStore.open(path) as second:
        assert all_of(second) == [trace(1, scores=(score(),))]
        assert second.last_order(ROLLOUT) == 0
        assert second.add_traces([trace(1), trace(2)]) == Added(new=1, duplicate=1)
        assert all_of(second)[1] == trace(2)


def test_a_process_opens_it_once(store, path):
    with pytest.raises(StoreError, match="in use by this process"):
        TraceStore.open(path)
    assert store.count(APP) == 0


@contextmanager
def no_more_room():
    """Within the block no file grows: as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_on_a_full_disk_nothing_is_written_and_that_is_said(store, path):
    store.add_traces([trace(1)])
    with no_more_room(), pytest.raises(StoreError, match="cannot be written"):
        store.add_traces([trace(2)])
    assert all_of(store) == [trace(1)]
    store.add_traces([trace(2)])
    shutil.copytree(path.parent, path.parent.parent / "killed")  # as kill -9 leaves it
    with TraceStore.open(path.parent.parent / "killed" / path.name) as again:
        assert all_of(again) == all_of(store) == [trace(1), trace(2)]


def test_whoever_reads_long_keeps_nobody_waiting(store):
    store.add_traces([trace(1)])

    def meanwhile():
        seen.append(store.count(APP))
        store.add_traces([trace(2)])
        seen.append(store.count(APP))

    seen: list[int] = []
    other = threading.Thread(target=meanwhile, daemon=True)
    with store._db.read() as run:  # a page whose query takes its time
        before = run.rows("SELECT count(*) FROM traces")
        other.start()
        other.join(timeout=30.0)
        assert seen == [1, 2]
        assert run.rows("SELECT count(*) FROM traces") == before, "it sees one state of the file"


def test_closing_waits_for_whoever_reads(path):
    store = TraceStore.open(path)
    closing = threading.Thread(target=store.close, daemon=True)
    with store._db.read() as run:
        closing.start()
        assert run.rows("SELECT count(*) FROM traces") == [(0,)]
        with pytest.raises(StoreError, match="in use by this process"):
            TraceStore.open(path)
    closing.join()
    TraceStore.open(path).close()


def test_a_newer_file_is_left_alone(path):
    TraceStore.open(path).close()
    with duckdb.connect(str(path)) as raw:
        raw.execute("INSERT INTO inchworm_schema VALUES (99)")
    for _ in range(2):  # the failed attempt has let go of the file
        with pytest.raises(StoreError, match=r"newer version.*schema 99"):
            TraceStore.open(path)


def test_a_foreign_database_is_left_alone(path):
    path.parent.mkdir()
    with duckdb.connect(str(path)) as raw:
        raw.execute("CREATE TABLE cats (name VARCHAR)")
    with pytest.raises(StoreError, match="not one of Inchworm's"):
        TraceStore.open(path)


def test_what_is_no_database_is_said_so(path):
    path.parent.mkdir()
    path.write_bytes(b"hello, I am a text file" * 1000)
    with pytest.raises(StoreError, match="cannot be opened"):
        TraceStore.open(path)


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written to"):
        TraceStore.open(tmp_path / "file" / "traces.duckdb")


# --- traces in and out

TEXT = st.text(max_size=6)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
RESULTS = (
    st.builds(Scored, value=st.floats(0, 1))
    | st.builds(Unscored, reason=TEXT)
    | st.builds(Errored, reason=TEXT)
)
TRACES = st.builds(
    Trace,
    id=TEXT,
    app=st.sampled_from([APP, OTHER]),
    at=NUMBER,
    unit_id=TEXT,
    configuration_id=st.none() | TEXT,
    inputs=st.dictionaries(TEXT, NUMBER | TEXT | st.lists(TEXT, max_size=2), max_size=2),
    output=st.none() | TEXT,
    outcome=st.just(Ok()) | st.builds(Failed, reason=TEXT) | st.builds(Errored, reason=TEXT),
    finish_reason=st.none() | TEXT,
    latency_ms=st.none() | NUMBER,
    usage=st.builds(
        Usage,
        input_tokens=st.none() | st.integers(0, 2**63 - 1),
        output_tokens=st.none() | st.integers(0, 2**63 - 1),
        cost_usd=st.none() | NUMBER,
    ),
    reference=st.none() | TEXT | st.lists(TEXT, max_size=2) | st.just(0),
    scores=st.lists(
        st.builds(Score, metric=TEXT, result=RESULTS, source=TEXT, at=NUMBER),
        max_size=3,
        unique_by=lambda one: (one.metric, one.source),
    ).map(tuple),
    attributes=st.dictionaries(TEXT, st.none() | st.booleans(), max_size=2),
)


@settings(max_examples=40)
@given(traces=st.lists(TRACES, max_size=6, unique_by=lambda one: (one.app, one.id)), again=st.integers(0, 6))
def test_traces_come_back_equal_and_in_order(tmp_path_factory, traces, again):
    with TraceStore.open(tmp_path_factory.mktemp("traces") / "t.duckdb") as store:
        assert store.add_traces(traces) == Added(new=len(traces), duplicate=0)
        assert store.add_traces(traces[:again]) == Added(new=0, duplicate=len(traces[:again]))
        for app in (APP, OTHER):
            mine = [one for one in traces if one.app == app]
            mine.sort(key=lambda one: (one.at, one.id.encode()))
            assert all_of(store, app) == mine
            assert all_of(store, app, batch=2) == mine
            assert store.traces(app).total == store.count(app) == len(mine)


def test_the_first_of_two_with_one_id_stays(store):
    pair = [trace(1), trace(1, output="other", scores=(score(),))]
    assert store.add_traces(pair) == Added(new=1, duplicate=1)
    assert store.add_traces([trace(1, output="third"), trace(2)]) == Added(new=1, duplicate=1)
    assert store.add_traces([replace(trace(1), app=OTHER)]) == Added(new=1, duplicate=0)
    assert all_of(store) == [trace(1), trace(2)]
    assert store.add_traces([]) == Added(new=0, duplicate=0)


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ({"output": "x\ud800"}, "surrogate"),
        ({"inputs": {"question": "\udcff"}}, "surrogate"),
        ({"id": TraceId("t\ud800")}, "surrogate"),
        ({"unit_id": UnitId("\ud800")}, "surrogate"),
        ({"outcome": Failed(reason="\ud800")}, "surrogate"),
        ({"attributes": {"x": math.nan}}, "JSON"),
        ({"latency_ms": math.inf}, "finite"),
        ({"at": math.nan}, "finite"),
        ({"usage": Usage(input_tokens=2**63)}, "too"),
        ({"scores": (score(metric="\ud800"),)}, "surrogate"),
        ({"scores": (score(at=math.nan),)}, "finite"),
    ],
)
def test_what_cannot_be_stored_exactly_refuses_the_whole_batch(store, bad, word):
    store.add_traces([trace(0)])
    with pytest.raises(InputError, match=word) as caught:
        store.add_traces([trace(1), trace(2, **bad), trace(3)])
    caught.value.message.encode()  # can be shown
    assert all_of(store) == [trace(0)]
    assert store.add_traces([trace(1)]) == Added(new=1, duplicate=0)


def test_the_refusal_names_the_trace(store):
    with pytest.raises(InputError, match="trace-0002"):
        store.add_traces([trace(1), trace(2, latency_ms=math.nan)])


def test_nul_characters_are_stored(store):
    odd = trace(1, id=TraceId("a\0b"), output="x\0y", inputs={"q\0": "\0"}, unit_id=UnitId("\0"))
    store.add_traces([odd, trace(2, id=TraceId("a"))])
    assert all_of(store)[0] == odd
    assert store.trace(APP, "a\0b") == odd


def test_a_trace_is_found_by_what_a_user_types(store):
    store.add_traces([trace(n) for n in range(12)] + [trace(1, id=TraceId("tra"), app=OTHER)])
    assert store.trace(APP, "trace-0003") == trace(3)
    store.add_traces([trace(99, id=TraceId("trace-0003-b"))])
    assert store.trace(APP, "trace-0003") == trace(3)
    assert store.trace(APP, "trace-0003-") == trace(99, id=TraceId("trace-0003-b"))
    with pytest.raises(UsageError, match=r"ambiguous: trace-0000, .*, …"):
        store.trace(APP, "trace")
    for unknown in ("tra", "trace-9", "%", "trace_0003"):
        with pytest.raises(NotFoundError, match="no trace"):
            store.trace(APP, unknown)
    with pytest.raises(NotFoundError):
        store.trace(OTHER, "trace-0003")


# --- pages


def test_pages_run_newest_first_without_gaps_or_repeats(store):
    made = [trace(n, at=1000.0 + n // 4) for n in range(23)]
    store.add_traces(made)
    seen, after, pages = [], None, 0
    while True:
        page = store.traces(APP, after=after, limit=5)
        assert page.total == 23
        seen += page.traces
        pages += 1
        if page.next_cursor is None:
            break
        after = page.next_cursor
    assert pages == 5
    assert seen == sorted(made, key=lambda one: (one.at, one.id), reverse=True)
    for bad in ("", "x", "W10=", "é"):
        with pytest.raises(InputError, match="no cursor"):
            store.traces(APP, after=bad)


def test_filters_and_facets_agree(store):
    other = ConfigurationId("f" * 64)
    store.add_traces(
        [
            assigned(0, outcome=Failed(reason="late"), finish_reason=None),
            assigned(1, configuration_id=other, scores=(score(0.2, at=1.0),)),
            assigned(2, scores=(score(0.2, at=1.0), score(0.9, source="human:ana", at=2.0))),
            trace(3, output="100% sure_thing \\ ok", outcome=Errored(reason="net")),
            trace(4, inputs={"question": 'Say "HI"\nthen ÄPFEL'}, output=None, configuration_id=None),
        ],
        cluster={TraceId("trace-0000"): "prices", TraceId("trace-0001"): "returns"},
    )
    for filters, numbers in (
        (TraceFilter(), {0, 1, 2, 3, 4}),
        (TraceFilter(configuration=other), {1}),
        (TraceFilter(arm=Arm.BASELINE), {0, 2}),
        (TraceFilter(rollout=ROLLOUT), {0, 1, 2}),
        (TraceFilter(rollout=ROLLOUT, outcome="ok"), {1, 2}),
        (TraceFilter(cluster="prices"), {0}),
        (TraceFilter(outcome="errored"), {3}),
        (TraceFilter(finish_reason="length"), set()),
        (TraceFilter(finish_reason="stop", outcome="ok"), {1, 2, 4}),
        (TraceFilter(metric_below=("right", 0.5)), {1}),
        (TraceFilter(metric_below=("right", 0.2)), set()),
        (TraceFilter(since=1001.0, until=1003.0), {1, 2}),
        (TraceFilter(text="0% SURE"), {3}),
        (TraceFilter(text="0%e"), set()),
        (TraceFilter(text="sure_"), {3}),
        (TraceFilter(text="r_th"), set()),
        (TraceFilter(text="\\ ok"), {3}),
        (TraceFilter(text='"hi"\nthen äpfel'), {4}),
        (TraceFilter(text="IT IS 1", arm=Arm.CANDIDATE, since=0.0), {1}),
        (TraceFilter(text="question"), {0, 1, 2, 3, 4}),
    ):
        page = store.traces(APP, filters=filters)
        assert {int(one.id[-4:]) for one in page.traces} == numbers, filters
        assert page.total == len(numbers)
        assert sum(n for _, n in store.facets(APP, filters)["outcome"]) == len(numbers)
    facets = store.facets(APP, TraceFilter())
    assert facets == {
        "configuration": [(BASE.id, 3), (other, 1)],
        "arm": [("baseline", 2), ("candidate", 1)],
        "rollout": [(ROLLOUT, 3)],
        "cluster": [("prices", 1), ("returns", 1)],
        "outcome": [("ok", 3), ("errored", 1), ("failed", 1)],
        "finish_reason": [("stop", 4)],
        "model": [],
        "call": [],
        "source": [],
        "metric": [("right", 2)],
    }
    assert store.facets(OTHER)["outcome"] == []
    with pytest.raises(InputError, match="surrogate"):
        store.traces(APP, filters=TraceFilter(text="\ud800"))


# --- scores and clusters


def test_scores_are_appended_and_the_latest_counts(store):
    store.add_traces([trace(1, scores=(score(0.1, at=5.0),))])
    one = trace(1).id
    human = score(0.4, source="human:ana", at=6.0)
    assert store.add_scores([(APP, one, human), (APP, one, score(0.2, at=5.0))]) == 2
    assert store.add_scores([(APP, one, score(0.3, at=4.0))]) == 1
    assert store.add_scores([]) == 0
    assert store.trace(APP, one).scores == (human, score(0.2, at=5.0))
    with pytest.raises(NotFoundError, match="trace-0009"):
        store.add_scores([(APP, one, score(0.9, at=9.0)), (APP, TraceId("trace-0009"), score())])
    with pytest.raises(NotFoundError):
        store.add_scores([(OTHER, one, score())])
    assert store.trace(APP, one).scores == (human, score(0.2, at=5.0))


def test_a_score_that_is_there_already_is_not_appended_again(store):
    store.add_traces([trace(1), trace(2)])
    one, two = trace(1).id, trace(2).id
    given = score(0.4, source="user", at=6.0)
    assert store.add_scores([(APP, one, given), (APP, one, given), (APP, two, given)]) == 2
    assert store.add_scores([(APP, one, given), (APP, two, given)]) == 0
    others = [
        score(0.5, source="user", at=6.0),
        score(0.4, source="human:ana", at=6.0),
        score(0.4, source="user", at=7.0),
        Score(metric="m", result=Unscored(reason="x"), source="user", at=6.0),
    ]
    assert store.add_scores([(APP, one, other) for other in others]) == len(others)


def test_known_are_those_that_are_there(store):
    store.add_traces([trace(1), trace(2, app=OTHER)])
    asked = [trace(number).id for number in (1, 2, 3)]
    assert store.known(APP, asked) == {trace(1).id}
    assert store.known(APP, []) == set()


def test_clusters_are_set_and_replaced(store):
    store.add_traces([trace(1), trace(2), trace(3)], cluster={trace(1).id: "a"})
    store.set_clusters(APP, {trace(1).id: "b", trace(2).id: "c", TraceId("unknown"): "d"})
    store.set_clusters(OTHER, {trace(3).id: "e"})
    store.set_clusters(APP, {})
    assert store.clusters(APP) == {"trace-0001": "b", "trace-0002": "c"}
    assert store.clusters(APP, [trace(2).id, trace(3).id]) == {"trace-0002": "c"}
    assert store.traces(APP, filters=TraceFilter(cluster="b")).total == 1
    assert all_of(store) == [trace(1), trace(2), trace(3)]


# --- aggregates


def test_counts_period_and_traffic(store):
    assert store.period(APP) is None
    assert store.traffic(APP, now=0.0, days=7) == 0.0
    store.add_traces([trace(n, at=n * DAY / 4, unit_id=UnitId(f"u{n // 2}")) for n in range(40)])
    assert store.count(APP) == 40
    assert store.period(APP) == (0.0, 39 * DAY / 4)
    assert store.traffic(APP, now=10 * DAY, days=5) == pytest.approx(10 / 5)
    assert store.traffic(APP, now=10 * DAY, days=100) == pytest.approx(20 / 10)
    assert store.traffic(APP, now=DAY / 4, days=7) == pytest.approx(1.0)
    assert store.traffic(APP, now=100 * DAY, days=7) == 0.0


def test_quantiles_interpolate_over_what_is_known(store):
    store.add_traces([trace(n, latency_ms=None if n == 3 else float(n)) for n in range(6)])
    known = [0.0, 1.0, 2.0, 4.0, 5.0]
    for q in (0.0, 0.5, 0.95, 1.0):
        got = store.quantile(APP, "latency_ms", q, since=0.0, until=9e9, configuration=None)
        assert got == pytest.approx(float(np.quantile(known, q)))
    assert store.quantile(APP, "cost_usd", 0.5, since=0.0, until=9e9, configuration=BASE.id) == 0.001
    assert store.quantile(APP, "latency_ms", 0.5, since=1005.0, until=1005.0) is None
    for column, q in (("at_s", 0.5), ("latency_ms", 1.5)):
        with pytest.raises(ValueError, match="quantiles are of"):
            store.quantile(APP, column, q, since=0.0, until=1.0)


def test_summaries_count_what_is_scored_and_never_fill_in(store):
    store.add_traces(
        [
            trace(1, scores=(score(0.0, at=1.0), score(1.0, source="human:ana", at=2.0))),
            trace(2, scores=(score(0.5),)),
            trace(3, scores=(replace(score(), result=Unscored(reason="none")),), outcome=Failed(reason="x")),
            trace(4, configuration_id=None, outcome=Errored(reason="x")),
        ],
        cluster={trace(1).id: "a", trace(4).id: "a"},
    )
    rows = store.summary(APP, by="configuration", metrics=["right", "short"], since=0.0, until=9e9)
    assert [(row.key, row.n, row.failed, row.errored) for row in rows] == [
        (BASE.id, 3, 1, 0),
        (None, 1, 0, 1),
    ]
    assert rows[0].metrics == {
        "right": MetricMean(mean=0.75, scored=2),
        "short": MetricMean(mean=None, scored=0),
    }
    assert rows[1].metrics["right"] == MetricMean(mean=None, scored=0)
    by_cluster = store.summary(APP, by="cluster", metrics=[], since=0.0, until=1002.0)
    assert [(row.key, row.n) for row in by_cluster] == [("a", 1)]
    with pytest.raises(ValueError, match="by configuration or cluster"):
        store.summary(APP, by="id", metrics=[], since=0.0, until=1.0)
