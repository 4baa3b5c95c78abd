"""Decisions as sentences, what differs as a table, and what the benchmark said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from inchworm.app import differences
from inchworm.app.texts import harmless
from inchworm.app.web.views.acts import Offer, way_back
from inchworm.app.web.views.seen import Seen
from inchworm.app.web.views.words import Told, sentence
from inchworm.domain import wording
from inchworm.domain.benchmark import Benchmark, Comparison
from inchworm.domain.change import Absent, ValueDiff
from inchworm.domain.ids import short
from inchworm.domain.layers import LAYERS
from inchworm.domain.rollout import Decision, LedgerEntry
from inchworm.domain.verdict import Verdict

_LONG_VERBS = ("rolled back",)
_CONTEXT = 1
_MOST_LINES = 60
_LONG = 60
Piece = tuple[Literal["same", "del", "ins", "gap"], str]
MARKS = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "■",
    Verdict.INCONCLUSIVE: "○",
    Verdict.NO_DATA: "○",
    Verdict.ERRORED: "○",
    Verdict.CANCELLED: "○",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLine:
    """One decision, or what else the ledger tells of it: that somebody approved it, or tries it again.

    Attributes:
        id: ``r-7/3``; empty of what is no decision.
        at: seconds since the epoch.
        verb: what was done, to be said loud.
        rest: the rest of the sentence.
        actor: ``automatic``, or who.
        replay: the command that recomputes it; empty of what is no decision.
        undo: the command that takes it back, of the newest one; else empty.
    """

    id: str
    at: float
    verb: str
    rest: str
    actor: str
    replay: str
    undo: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueLine:
    """One value that differs.

    Attributes:
        path: its key, ``documents``.
        said: ``1 → 3``, ``+14 −9 lines``; empty if its lines say it all.
        pieces: the lines of a long text: ``same``, ``del``, ``ins``, and ``gap`` where some are left out;
            empty for a short value.
    """

    path: str
    said: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerLine:
    """One of the six layers.

    Attributes:
        layer: its name.
        baseline: the beginning of its digest.
        candidate: likewise; ``None`` if it is the same.
        values: what differs in it.
    """

    layer: str
    baseline: str
    candidate: str | None
    values: tuple[ValueLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLine:
    """One metric of the benchmark.

    Attributes:
        metric: its name.
        role: what it decides.
        mark: ``✓``, ``○`` or ``■``.
        verdict: in words.
        estimate: ``−0.2 points``; ``None`` if nothing was measured.
        interval: ``(−1.0 … +0.6)``.
        told: whether it can be told from zero.
        margin: ``−3``.
        n: ``n = 600``.
        rests: what else is to be known: what was left out, and how many cases would settle it.
    """

    metric: str
    role: str
    mark: str
    verdict: str
    estimate: str | None
    interval: str
    told: Told
    margin: str
    n: str
    rests: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTable:
    """The benchmark that was asked for before anybody was exposed.

    Attributes:
        id: of the benchmark.
        verdict: of goals and guardrails together, in words.
        failed: whether it failed.
        said: on what, and what it cost, as a sentence.
        rows: one per metric.
    """

    id: str
    verdict: str
    failed: bool
    said: str
    rows: tuple[GateLine, ...]


def decisions(seen: Seen, may: tuple[Offer, ...]) -> tuple[DecisionLine, ...]:
    """Every decision and what the ledger tells besides, the newest first."""
    newest = seen.decisions[-1:]
    found = [_entry(one, seen.rollout.id) for one in seen.told]
    found += [
        _line(one, way_back(seen.rollout, one, may) if (one,) == newest else "") for one in seen.decisions
    ]
    # Of one moment what was asked comes before what was decided on it; sorting keeps that order.
    return tuple(sorted(found, key=lambda line: line.at))[::-1]


def _entry(one: LedgerEntry, rollout_id: str) -> DecisionLine:
    """A ledger entry: ``ben approved r-7 (prompt) for 25 %`` is told as what ben did."""
    actor = harmless(one.actor)
    said = sentence(one.what.removeprefix("EMERGENCY: ").removeprefix(f"{one.actor} "))
    verb, _, rest = said.partition(" ")
    if said.startswith((f"{rollout_id} tries ", "plan-")):
        # The sentence begins with an id, and the verb is the word after it.
        return DecisionLine(id="", at=one.at, verb="", rest=said, actor=actor, replay="", undo="")
    return DecisionLine(
        id="", at=one.at, verb=verb, rest=f" {rest}" if rest else "", actor=actor, replay="", undo=""
    )


def _line(one: Decision, undo: str) -> DecisionLine:
    said = sentence(one.because)
    lowered = said.lower()
    verb = next((long for long in _LONG_VERBS if lowered.startswith(long)), said.partition(" ")[0])
    return DecisionLine(
        id=one.id,
        at=one.at,
        verb=said[: len(verb)],
        rest=said[len(verb) :],
        actor="automatic" if one.actor == "inchworm" else harmless(one.actor),
        replay=f"inchworm rollout replay {one.id}",
        undo=undo,
    )


def layers(seen: Seen) -> tuple[LayerLine, ...]:
    """All six, with what differs."""
    found: list[LayerLine] = []
    for layer in LAYERS:
        before, after = seen.base.digest(layer), seen.candidate.digest(layer)
        found.append(
            LayerLine(
                layer=layer.value,
                baseline=before[:4],
                candidate=None if before == after else after[:4],
                values=tuple(_value(one) for one in seen.diffs if one.layer is layer),
            )
        )
    return tuple(found)


def _value(one: ValueDiff) -> ValueLine:
    said = differences.change(one)
    old, new = _text(one.old), _text(one.new)
    counted = "\n" in old or "\n" in new
    long = " → " not in said or said.endswith(" entries") or len(said) > _LONG
    return ValueLine(
        path=".".join(one.path) or "everything",
        said=said if counted or not long else "",
        pieces=lines(old, new) if long else (),
    )


def _text(value: Any) -> str:
    if isinstance(value, Absent):
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)


def lines(old: str, new: str) -> tuple[Piece, ...]:
    """Two texts line by line: what changed, with a line around it, and ``gap`` where the rest is left out."""
    before, after = harmless(old).splitlines(), harmless(new).splitlines()
    found: list[Piece] = []
    for group in SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(_CONTEXT):
        if found or group[0][1] > 0:
            found.append(("gap", ""))
        for tag, from_, to, start, stop in group:
            if tag == "equal":
                found += [("same", line) for line in before[from_:to]]
            else:
                found += [("del", line) for line in before[from_:to]]
                found += [("ins", line) for line in after[start:stop]]
    more = len(found) - _MOST_LINES
    return tuple(found) if more <= 0 else (*found[:_MOST_LINES], ("gap", f"{more:,} lines more"))


def gate(benchmark: Benchmark | None) -> GateTable | None:
    """The benchmark, if there is one."""
    if benchmark is None:
        return None
    cost = "" if benchmark.cost_usd is None else f", {wording.usd(benchmark.cost_usd)}"
    times = "" if benchmark.repetitions == 1 else f" × {benchmark.repetitions:,}"
    return GateTable(
        id=benchmark.id,
        verdict=benchmark.verdict.value.replace("_", " "),
        failed=benchmark.verdict is Verdict.FAIL,
        said=f"{benchmark.eval_set}{times}, {wording.counted(benchmark.trials, 'trial')}{cost}, "
        f"{short(benchmark.candidate)} against {short(benchmark.base)}.",
        rows=tuple(_gate_line(one) for one in benchmark.comparisons),
    )


def _gate_line(one: Comparison) -> GateLine:
    effect = one.effect
    told = Told.NULL
    if one.verdict is Verdict.FAIL:
        told = Told.HARM
    elif effect is not None and not effect.low <= 0 <= effect.high:
        told = Told.CANDIDATE
    return GateLine(
        metric=one.metric,
        role=one.role.value,
        mark=MARKS[one.verdict],
        verdict=one.verdict.value.replace("_", " "),
        estimate=None if effect is None else f"{wording.points(effect.estimate)} points",
        interval="" if effect is None else wording.bounds(effect.low, effect.high),
        told=told,
        margin=wording.margin(one.margin),
        n=f"n = {one.cases:,}",
        rests=_rests(one),
    )


def _rests(one: Comparison) -> str:
    said = []
    if one.unscored:
        said.append(f"{wording.counted(one.unscored, 'case')} without a value, left out")
    if one.errored:
        said.append(f"{wording.counted(one.errored, 'trial')} errored, never a 0")
    if one.cases_to_settle is not None:
        said.append(f"about {one.cases_to_settle:,} cases would settle it")
    return sentence("; ".join(said)) or "Nothing was left out."
