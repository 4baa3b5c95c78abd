"""Evidence by parts, for a terminal: pairs of shadow stages, clusters, and the times between changes."""

from __future__ import annotations

from inchworm.app.cli.output import paragraph, table, when
from inchworm.domain.wording import counted
from inchworm.rollout import wording
from inchworm.rollout.evidence import ClusterEvidence, Evidence, PairedMetric, Segment


def parts(evidence: Evidence) -> list[str]:
    """What is known besides the metrics over all units; nothing where there is nothing."""
    return [*_shadow(evidence), *_clusters(evidence), *_segments(evidence), *_late(evidence)]


def _shadow(evidence: Evidence) -> list[str]:
    shadow = evidence.shadow
    if shadow is None or shadow.pairs == 0:
        return []
    heads = ["in pairs", "points", "interval", "margin", "to expand", "of harm"]
    rows = [_paired(one) for one in shadow.metrics]
    harm = f"{wording.evidence(shadow.log_e)} of {wording.line(shadow.alpha)}"
    again = sum(stage.again for stage in shadow.stages)
    left = f" {counted(again, 'further call')} of the same units left out." if again else ""
    said = f"Mirrored: {counted(shadow.pairs, 'pair')}, seen by nobody; evidence of harm {harm}.{left}"
    return ["", *paragraph(said), *table(rows, heads=heads, right={1, 3, 4})]


def _paired(one: PairedMetric) -> list[str]:
    known = one.effect is not None
    return [
        one.name if one.gates else f"{one.name} (signal)",
        "none yet" if one.effect is None else wording.points(one.effect),
        wording.bounds(one.low, one.high) if known else "",
        f"−{100 * one.margin:.1f}",
        wording.evidence(one.log_e_expand),
        wording.evidence(one.log_e_harm),
    ]


def _clusters(evidence: Evidence) -> list[str]:
    if not evidence.clusters:
        return []
    rows = [row for one in evidence.clusters for row in _cluster(one)]
    heads = ["in cluster", "units", "metric", "points", "of harm"]
    void = evidence.clusters_void_at
    note = [] if void is None else paragraph("Clusters are void: they are known more often in one arm.")
    return ["", *table(rows, heads=heads, right={1, 3}), *note]


def _cluster(one: ClusterEvidence) -> list[list[str]]:
    rows: list[list[str]] = []
    for number, metric in enumerate(one.metrics):
        name, units = (one.name, f"{one.units.both:,}") if number == 0 else ("", "")
        points = "none yet" if metric.effect is None else wording.points(metric.effect)
        rows.append([name, units, metric.name, points, wording.evidence(metric.log_e_harm)])
    return rows


def _segments(evidence: Evidence) -> list[str]:
    out: list[str] = []
    for one in evidence.segments:
        why = one.because.rstrip(".")
        since = "From the start" if one.since is None else f"Since {when(one.since)} ({why})"
        out += paragraph(f"{since}: {wording.listed(_segment(one))}.")
    return ["", *out] if out else []


def _segment(one: Segment) -> list[str]:
    told = [
        f"{metric.name} {100 * metric.candidate:.1f} against {100 * metric.baseline:.1f} "
        f"({metric.units.candidate:,} and {metric.units.baseline:,})"
        for metric in one.metrics
        if metric.candidate is not None and metric.baseline is not None
    ]
    return told or ["nothing from both arms yet"]


def _late(evidence: Evidence) -> list[str]:
    told = [
        f"{counted(clock.late.both, 'outcome')} of the {clock.clock} clock came too late "
        f"({clock.late.candidate:,} of the candidate's units, {clock.late.baseline:,} of the baseline's)"
        for clock in evidence.clocks
        if clock.late.both
    ]
    return ["", *paragraph(f"Left out: {wording.listed(told)}.")] if told else []
