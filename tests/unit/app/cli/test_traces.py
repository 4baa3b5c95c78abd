"""Looking at what was captured: lists, facets, spans, and what arrives."""

import json
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner
from tests.unit.app.cli import small_shop
from tests.unit.app.cli.test_commands import check

from inchworm.app.cli import main, traces_follow
from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.capture.telemetry import fold
from inchworm.domain.errors import StoreError
from inchworm.domain.ids import TraceId
from inchworm.domain.outcome import Errored, Ok
from inchworm.domain.span import Span, SpanKind
from inchworm.domain.trace import Usage
from inchworm.domain.unitkind import UnitKind

AT = 1_790_000_000.0


def spans_of(app):
    def span(id_, *where, **more):
        under, name, kind, start, end = where
        whole = {
            "app": app,
            "trace_id": TraceId("agent-1"),
            "id": id_,
            "parent_id": under,
            "name": name,
            "kind": kind,
            "started_at": AT + start,
            "ended_at": AT + end,
            "outcome": Ok(),
            "revision": AT,
        }
        return Span(**whole | more)

    asked = {"messages": [{"role": "user", "content": "Where is ORDER_1?"}]}
    model = {"gen_ai.response.model": "m-1"}
    return [
        span("root", None, "support", SpanKind.AGENT, 0, 3, inputs=asked, output="It comes."),
        span(
            *("ask", "root", "chat", SpanKind.LLM, 0, 1.5),
            model="m-1",
            usage=Usage(input_tokens=1_200, output_tokens=7),
            inputs=asked,
            attributes=model,
        ),
        span("look", "ask", "find_order", SpanKind.TOOL, 0.5, 0.9, inputs={"order": "ORDER_1"}, output="DHL"),
        span("mail", "root", "send", SpanKind.TOOL, 2, 2.1, outcome=Errored(reason="it answered 451")),
        span("lost", "nobody", "stray", SpanKind.OTHER, 2.5, 2.6),
    ]


@pytest.fixture
def agent(empty):
    """A shop with one interaction of five spans."""
    with House(load(empty.folder / "inchworm.yaml")) as house:
        spans = spans_of(house.app)
        house.traces.put_spans(spans)
        house.traces.put_traces([fold(spans, unit=UnitKind.SESSION)])
    return empty


def test_facets_count_what_passes_the_filters(shop):
    data = shop.json("traces", "facets")
    check("traces facets", data)
    assert data["total"] == 400
    for one in data["facets"]["cluster"]:
        listed = shop.json("traces", "--cluster", one["value"], "--limit", "1")
        assert (
            listed["total"] == one["n"] == shop.json("traces", "facets", "--cluster", one["value"])["total"]
        )
    text = shop("traces", "facets", "--most", "1").stdout
    assert "400 interactions" in text
    assert re.search(r"and \d+ more: --most", text)
    assert "No interaction" in shop("traces", "facets", "--model", "none").stdout


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["--not-ok"], 0),
        (["--scored"], 400),
        (["--unscored"], 0),
        (["--incomplete"], 0),
        (["--complete"], 400),
        (["--slower", "100ms"], None),
        (["--slower", "2s"], 0),
        (["--between", "answered=0..0.5"], None),
        (["--model", "none"], 0),
        (["--call", "none"], 0),
        (["--source", "none"], 0),
        (["--unit", "none"], 0),
        (["--finish", "none"], 0),
        (["--kind", "tool"], 0),
        (["--span", "chat"], 0),
        (["--attribute", "region=eu"], 0),
        (["--until", "3650d"], 0),
    ],
)
def test_every_filter_filters(shop, words, count):
    total = shop.json("traces", *words)["total"]
    assert total == count if count is not None else 0 < total < 400


def test_filters_of_spans_find_their_interaction(agent):
    for words in (
        ["--kind", "tool"],
        ["--span", "find_order"],
        ["--model", "m-1"],
        ["--incomplete"],
        ["--slower", "3s"],
        ["--unit", "agent-1"],
    ):
        assert agent.json("traces", *words)["total"] == 1, words
    assert agent.json("traces", "--kind", "retriever")["total"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--slower", "soon"], "2s or 800ms"),
        (["--between", "answered"], "METRIC=LOW..HIGH"),
        (["--attribute", "region"], "NAME=VALUE"),
        (["--kind", "guess"], "kind"),
        (["--follow", "--after", "x"], "--follow begins now"),
    ],
)
def test_what_is_no_filter_is_said(shop, words, said):
    assert said in shop("traces", *words, exit_code=2).stderr


def test_spans_are_indented_under_their_parents(agent):
    text = agent("traces", "show", "agent-1").stdout
    lines = [line for line in text.splitlines() if line.endswith("]")]
    assert [(len(line) - len(line.lstrip()), line.split()[0]) for line in lines] == [
        (2, "agent"),
        (4, "llm"),
        (6, "tool"),
        (4, "tool"),
        (2, "other"),
    ]
    assert "chat  m-1  1.5 s  1,200 in, 7 out  [ask]" in lines[1]
    assert "errored: it answered 451" in lines[3]
    assert "its parent nobody has not come" in lines[4]
    assert "incomplete" in text
    assert re.search(r"sanitized\s+1 mark \(order\)", text)


def test_on_a_terminal_the_tree_is_drawn(agent, monkeypatch):
    monkeypatch.setattr("inchworm.app.cli.traces_show._on_a_terminal", lambda: True)
    text = agent("traces", "show", "agent-1").stdout
    assert re.search(r"├── llm .*\n\s+│\s+└── tool ", text)


def test_one_span_shows_what_went_in_and_out(agent):
    text = agent("traces", "show", "agent-1", "--span", "look").stdout
    assert "find_order" in text
    assert "ORDER_1" in text
    assert "DHL" in text
    data = agent.json("traces", "show", "agent-1", "--span", "mail")["span"]
    assert (data["parent"], data["outcome"]) == ("root", {"is": "errored", "reason": "it answered 451"})
    whole = agent.json("traces", "show", "agent-1")["trace"]
    assert [one["id"] for one in whole["spans"]] == ["ask", "root", "look", "mail", "lost"]
    assert "is ambiguous" in agent("traces", "show", "agent-1", "--span", "lo", exit_code=2).stderr
    assert "has no span" in agent("traces", "show", "agent-1", "--span", "x", exit_code=2).stderr


def followed(cli, monkeypatch, *steps, words=()):
    """What --follow prints while these steps happen one after the other; then somebody presses Ctrl-C."""
    waiting = iter(steps)

    def wait(_seconds):
        step = next(waiting, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    monkeypatch.setattr(traces_follow, "_wait", wait)
    return CliRunner().invoke(main, ["-f", str(cli.folder / "inchworm.yaml"), "traces", "-f", *words])


def test_new_interactions_are_shown_as_they_arrive_and_old_ones_are_not(shop, tmp_path, monkeypatch):
    one = small_shop.write_traces(tmp_path, name="one.jsonl", count=3, seed=7)
    other = small_shop.write_traces(tmp_path, name="other.jsonl", count=2, seed=8)
    result = followed(
        shop,
        monkeypatch,
        lambda: shop("import", str(one)),
        lambda: None,
        lambda: shop("import", str(other)),
        words=["--json"],
    )
    assert result.exit_code == 130
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    new = shop.json("traces", "--limit", "1000")
    assert len(rows) == new["total"] - 400 > 0
    assert {row["version"] for row in rows} == {1}
    assert {row["id"] for row in rows} <= {row["id"] for row in new["traces"]}
    assert len({row["id"] for row in rows}) == len(rows)
    assert "Ctrl-C" in result.stderr


def test_what_follows_passes_the_filters(shop, tmp_path, monkeypatch):
    more = small_shop.write_traces(tmp_path, name="one.jsonl", count=6, seed=7)
    result = followed(shop, monkeypatch, lambda: shop("import", str(more)), words=["--outcome", "failed"])
    assert (result.exit_code, result.stdout) == (130, "")


def test_a_store_that_another_process_has_is_waited_for(agent, monkeypatch):
    def taken():
        monkeypatch.setattr(House, "traces", property(refused))

    def refused(_house):
        raise StoreError("traces.duckdb is in use by process 7")

    def more():
        monkeypatch.undo()
        monkeypatch.setattr(traces_follow, "_wait", stop)
        with House(load(agent.folder / "inchworm.yaml")) as house:
            old = house.traces.trace(house.app, "agent-1")
            house.traces.add_traces([replace(old, id=TraceId("agent-2"))])

    def stop(_seconds):
        raise KeyboardInterrupt

    result = followed(agent, monkeypatch, taken, lambda: None, more)
    assert result.stderr.count("is in use by process 7; waiting for it") == 1
    assert "agent-2" in result.stdout
