"""A benchmark as JSON, as Markdown for a pull request, and as JUnit XML for a CI. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from inchworm.benchmark.wording import WORDS
from inchworm.domain.benchmark import Benchmark, Comparison, Trial
from inchworm.domain.codec import plain
from inchworm.domain.evalset import Case, EvalSet
from inchworm.domain.ids import CaseId, ConfigurationId, short
from inchworm.domain.metric import Role
from inchworm.domain.outcome import Errored, Failed, Ok
from inchworm.domain.verdict import Verdict
from inchworm.domain.wording import bounds, counted, interval, margin, percent, points, usd

FORMAT = "benchmark/1"
_SHOWN = 5
_CLIP = 600
_NUMBERS = ("no", "one", "two", "three", "four", "five")
# XML 1.0, section 2.2: all that is no Char.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_json(benchmark: Benchmark) -> dict[str, Any]:
    """The JSON form, version ``benchmark/1``. All of it but ``id`` is what the id is derived from."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "app": str(benchmark.app),
        "base": benchmark.base,
        "candidate": benchmark.candidate,
        "eval_set": benchmark.eval_set,
        "repetitions": benchmark.repetitions,
        "trials": benchmark.trials,
        "verdict": benchmark.verdict.value,
        "cost_usd": benchmark.cost_usd,
        "comparisons": [plain(comparison) for comparison in benchmark.comparisons],
        "clusters": [plain(cluster) for cluster in benchmark.clusters],
        "regressed": list(benchmark.regressed),
    }
    return {"id": benchmark.id, **content} if benchmark.id else content


def headline(benchmark: Benchmark) -> str:
    """The verdict as sentences: what decided, whether a cluster is worse, and what is listed."""
    return f"{WORDS[benchmark.verdict]}{_after_the_word(benchmark)}"


def _after_the_word(benchmark: Benchmark) -> str:
    deciding = decisive(benchmark)
    if deciding is None:
        return ": no goal and no guardrail is defined."
    parts = [deciding.because.partition(":")[2].strip()]
    worse = sorted({c.cluster for c in benchmark.clusters if c.worse})
    drops = min(_SHOWN, len(benchmark.regressed))
    listed = f"the {_NUMBERS[drops]} largest drops are below" if drops > 1 else "the only drop is below"
    if benchmark.clusters:
        if not worse:
            clusters = "No cluster is worse with confidence"
        else:
            verb = "is" if len(worse) == 1 else "are"
            clusters = f"{', '.join(worse)} {verb} worse with confidence"
        parts.append(f"{clusters}; {listed}." if drops else f"{clusters}.")
    elif drops:
        parts.append(f"{listed[0].upper()}{listed[1:]}.")
    return f": {' '.join(parts)}"


def decisive(benchmark: Benchmark) -> Comparison | None:
    """The comparison that made the verdict: goals before guardrails, in the order of the registry.

    Signals never decide; ``None`` if there is neither goal nor guardrail.
    """
    gating = [c for c in benchmark.comparisons if c.role is not Role.SIGNAL]
    made_it = [c for c in gating if c.verdict is benchmark.verdict]
    return min(made_it, key=lambda c: c.role is not Role.GOAL, default=None)


def markdown(benchmark: Benchmark, eval_set: EvalSet, trials: Sequence[Trial]) -> str:
    """A comment for a pull request. Production text in it stands in code blocks, where nothing acts.

    Args:
        benchmark: what came of it.
        eval_set: the cases, to say what was asked.
        trials: the trials, to show both answers of the largest drops.
    """
    lines = [f"**{WORDS[benchmark.verdict]}**{_inert(_after_the_word(benchmark))}", ""]
    lines += [
        "| metric | | verdict | candidate − base | margin | base | candidate | cases |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_row(comparison) for comparison in benchmark.comparisons]
    worse = [c for c in benchmark.clusters if c.worse]
    if worse:
        lines += ["", "Worse with confidence (intervals hold for all clusters at once):", ""]
        lines += [
            f"- {_cell(c.cluster)}: `{c.metric}` {interval(c.effect)}, {c.cases:,} cases" for c in worse
        ]
    lines += _drops(benchmark, eval_set, trials)
    cost = "" if benchmark.cost_usd is None else f", {usd(benchmark.cost_usd)}"
    about = [
        f"{benchmark.id}: {short(benchmark.base)} → {short(benchmark.candidate)}",
        f"on {_cell(benchmark.eval_set)} ({_cell(eval_set.population)}),",
        f"{counted(benchmark.repetitions, 'repetition')}, {counted(benchmark.trials, 'trial')}{cost}.",
    ]
    lines += ["", " ".join(about)]
    return "\n".join(lines) + "\n"


def _row(c: Comparison) -> str:
    effect = "–"
    if c.effect is not None:
        effect = f"{points(c.effect.estimate)} {bounds(c.effect.low, c.effect.high)}"
    means = ["–" if value is None else percent(value) for value in (c.base, c.candidate)]
    notes = [
        f"{count:,} {word}" for count, word in ((c.unscored, "unscored"), (c.errored, "errored")) if count
    ]
    cases = f"{c.cases:,}" + (f" ({', '.join(notes)})" if notes else "")
    cells = (f"`{c.metric}`", c.role.value, WORDS[c.verdict], effect, margin(c.margin), *means, cases)
    return f"| {' | '.join(cells)} |"


def _inert(text: str) -> str:
    """A sentence of ours in which somebody else's words may stand; code spans stay as they are."""
    parts = text.split("`")
    return "`".join(part if position % 2 else _cell(part) for position, part in enumerate(parts))


def _cell(text: str) -> str:
    """Text on one line of Markdown, with what would act in it made harmless."""
    return re.sub(r"([\\`*_\[\]<>|#@])", r"\\\1", re.sub(r"\s+", " ", text))


def _drops(benchmark: Benchmark, eval_set: EvalSet, trials: Sequence[Trial]) -> list[str]:
    cases = {case.id: case for case in eval_set.cases}
    first: dict[tuple[CaseId, ConfigurationId], Trial] = {}
    for trial in sorted(trials, key=lambda trial: trial.repetition):
        first.setdefault((trial.case_id, trial.configuration_id), trial)
    lines: list[str] = []
    for case_id in benchmark.regressed[:_SHOWN]:
        case = cases.get(case_id)
        if case is None:
            continue
        text = "\n".join(
            [
                f"asked      {_asked(case)}",
                f"reference  {_clip(case.reference)}",
                f"base       {_answer(first.get((case_id, benchmark.base)))}",
                f"candidate  {_answer(first.get((case_id, benchmark.candidate)))}",
            ]
        )
        summary = f"<details><summary><code>{case_id}</code> in {_html(case.cluster)}</summary>"
        lines += ["", summary, "", *_fenced(text), "", "</details>"]
    return lines


def _asked(case: Case) -> str:
    question: Any = case.inputs.get("question")
    if question is None and isinstance(messages := case.inputs.get("messages"), list) and messages:
        last = messages[-1]
        question = last.get("content") if isinstance(last, Mapping) else last
    return _clip(case.inputs if question is None else question)


def _answer(trial: Trial | None) -> str:
    if trial is None:
        return "(not asked)"
    match trial.outcome:
        case Ok():
            return _clip(trial.output)
        case Failed(reason=reason):
            return f"(failed: {_clip(reason)})"
        case Errored(reason=reason):
            return f"(errored: {_clip(reason)})"


def _clip(value: Any) -> str:
    text = " ".join(("none" if value is None else str(value)).split())
    return text if len(text) <= _CLIP else f"{text[:_CLIP]}…"


def _fenced(text: str) -> list[str]:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", text, fence]


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def junit(benchmark: Benchmark) -> str:
    """JUnit XML: a test case per goal and guardrail, and per signal one that cannot break the build.

    A verdict of fail is a ``failure``; inconclusive, no data and errored are an ``error``, because what
    was not shown has not passed.
    """
    gating = [c for c in benchmark.comparisons if c.role is not Role.SIGNAL]
    failures = sum(c.verdict is Verdict.FAIL for c in gating)
    errors = sum(c.verdict not in {Verdict.FAIL, Verdict.PASS} for c in gating)
    nothing = 0 if gating else 1
    counts = {
        "tests": str(len(benchmark.comparisons) + nothing),
        "failures": str(failures),
        "errors": str(errors + nothing),
    }
    name = f"inchworm benchmark {benchmark.app}"
    suites = ET.Element("testsuites", {"name": name, **counts})
    suite = ET.SubElement(suites, "testsuite", {"name": f"{benchmark.id} {benchmark.eval_set}", **counts})
    for c in benchmark.comparisons:
        test = ET.SubElement(suite, "testcase", {"classname": f"{benchmark.app}.{c.role}", "name": c.metric})
        text = _NOT_XML.sub("�", c.because)
        if c.role is Role.SIGNAL or c.verdict is Verdict.PASS:
            ET.SubElement(test, "system-out").text = text
        else:
            tag = "failure" if c.verdict is Verdict.FAIL else "error"
            ET.SubElement(test, tag, {"type": c.verdict.value, "message": text})
    if not gating:
        attributes = {"classname": str(benchmark.app), "name": "verdict"}
        test = ET.SubElement(suite, "testcase", attributes)
        message = {"type": benchmark.verdict.value, "message": headline(benchmark)}
        ET.SubElement(test, "error", message)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
