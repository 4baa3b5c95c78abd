"""What people ask about: fit topics on stored interactions, keep them frozen, assign new ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inchworm.app.house import House
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import TraceId
from inchworm.domain.metric import Role
from inchworm.domain.outcome import Scored
from inchworm.domain.trace import Trace
from inchworm.label.anomalies import Anomaly, AnomalyDetector
from inchworm.label.clusters import NOISE, Cluster, Clustering, ClusterQuality
from inchworm.label.embed import Embedder

EMBEDDER, CLUSTERING, DETECTOR = "label/embedder", "label/clustering", "label/anomalies"
OTHER = "other"
"""Where an interaction goes that is near no topic."""
_PASS = 0.5
_MOST_FITTED = 20_000
_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddity:
    """An interaction that fits nothing, and why."""

    trace_id: TraceId
    text: str
    anomaly: Anomaly
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What people ask about and how well it is answered.

    Attributes:
        metric: the metric that quality is measured by; empty if none is declared.
        interactions: how many were looked at.
        topics: largest first, with quality where it was scored.
        unclustered: interactions near no topic.
        oddities: oddest first; interactions with the same text are listed once.
    """

    metric: str
    interactions: int
    topics: tuple[ClusterQuality, ...]
    unclustered: int
    oddities: tuple[Oddity, ...]


def text_of(inputs: dict[str, Any]) -> str:
    """What a person said: the question, else the last user message, else all texts there are."""
    question = inputs.get("question")
    if isinstance(question, str):
        return question
    messages = inputs.get("messages")
    if isinstance(messages, list):
        said = [one for one in messages if isinstance(one, dict) and one.get("role") == "user"]
        if said:
            content = said[-1].get("content")
            return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return " ".join(value for value in inputs.values() if isinstance(value, str))


class Topics:
    """The app's frozen topics, if any were fitted."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._frozen = _load(house)
        self._lately: dict[str, str] = {}

    def assign(self, traces: Sequence[Trace]) -> dict[TraceId, str]:
        """The topic of each interaction with content; nothing before topics were fitted."""
        if self._frozen is None:
            return {}
        texts = {trace.id: text_of(trace.inputs) for trace in traces if trace.has_content}
        if len(self._lately) > _REMEMBERED:
            self._lately.clear()
        fresh = sorted(set(texts.values()) - self._lately.keys())
        if fresh:
            embedder, clustering = self._frozen
            labels = clustering.assign(embedder.transform(fresh))
            self._lately |= {
                text: _name(clustering.clusters, label) for text, label in zip(fresh, labels, strict=True)
            }
        return {trace_id: self._lately[text] for trace_id, text in texts.items()}


def fit(house: House) -> Picture:
    """Fit topics on what is stored, freeze them, assign everything, and look at the result.

    Raises:
        NotFoundError: if nothing with content is stored.
    """
    stored = _stored(house)
    texts = list(stored)
    if not texts:
        raise NotFoundError(
            f"no interaction of {house.app} with content is stored", hint="inchworm import FILE.jsonl"
        )
    embedder = Embedder.fit(texts)
    vectors = embedder.transform(texts)
    detector = AnomalyDetector.fit(texts, vectors)
    odd = detector.find(texts, vectors, fitted=True)
    # Topics are learned from what is ordinary, so that stray messages do not make topics of their own.
    ordinary = np.ones(len(texts), dtype=np.bool_)
    ordinary[[anomaly.index for anomaly in odd]] = False
    kept = [text for text, keep in zip(texts, ordinary, strict=True) if keep]
    clustering = Clustering.fit(vectors[ordinary], kept)
    labels = clustering.assign(vectors)
    now, control = house.now(), house.control
    for kind, data in (
        (EMBEDDER, embedder.to_bytes()),
        (CLUSTERING, clustering.to_bytes()),
        (DETECTOR, detector.to_bytes()),
    ):
        control.put_blob(house.app, kind, data, at=now)
    names = [_name(clustering.clusters, label) for label in labels]
    house.traces.set_clusters(
        house.app,
        {seen: name for name, said in zip(names, stored.values(), strict=True) for seen in said.traces},
    )
    return _picture(house, clustering, labels, list(stored.items()), odd)


@dataclass(slots=True)
class _Said:
    """One text, and the interactions that say it with their goal's score."""

    traces: list[TraceId] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)


def _picture(
    house: House,
    clustering: Clustering,
    labels: NDArray[np.int64],
    stored: Sequence[tuple[str, _Said]],
    odd: Sequence[Anomaly],
) -> Picture:
    spread = np.repeat(labels, [len(said.traces) for _, said in stored])
    flat = [value for _, said in stored for value in said.values]
    return Picture(
        metric=_goal(house),
        interactions=len(flat),
        topics=clustering.quality(
            spread,
            np.array([value is not None and value > _PASS for value in flat], dtype=np.bool_),
            np.array([value is not None for value in flat], dtype=np.bool_),
        ),
        unclustered=int((spread == NOISE).sum()),
        oddities=tuple(
            Oddity(trace_id=said.traces[0], text=text, anomaly=anomaly, seen=len(said.traces))
            for anomaly in odd
            for text, said in (stored[anomaly.index],)
        ),
    )


def _goal(house: House) -> str:
    return next((metric.name for metric in house.spec.metrics if metric.role is Role.GOAL), "")


def _stored(house: House) -> dict[str, _Said]:
    """Distinct texts in the order of first appearance."""
    goal = _goal(house)
    found: dict[str, _Said] = {}
    for batch in house.traces.iterate(house.app):
        for trace in batch:
            if not trace.has_content:
                continue
            text = text_of(trace.inputs)
            if text not in found and len(found) >= _MOST_FITTED:
                continue
            said = found.setdefault(text, _Said())
            said.traces.append(trace.id)
            said.values.append(_value(trace, goal))
    return found


def _value(trace: Trace, metric: str) -> float | None:
    for score in reversed(trace.scores):
        if score.metric == metric and isinstance(score.result, Scored):
            return score.result.value
    return None


def _name(clusters: Sequence[Cluster], label: int) -> str:
    return OTHER if label == NOISE else clusters[int(label)].name


def _load(house: House) -> tuple[Embedder, Clustering] | None:
    embedder = house.control.blob(house.app, EMBEDDER)
    clustering = house.control.blob(house.app, CLUSTERING)
    if embedder is None or clustering is None:
        return None
    return Embedder.from_bytes(embedder), Clustering.from_bytes(clustering)
