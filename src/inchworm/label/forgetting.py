"""Topics without what only somebody said who is forgotten: counts are taken back, what reaches 0 goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from inchworm.label.anomalies import AnomalyDetector, counted
from inchworm.label.clusters import Clustering
from inchworm.label.embed import Embedder, features
from inchworm.label.terms import terms


def embedder_without(embedder: Embedder, texts: Sequence[str], *, messages: int) -> Embedder:
    """The embedder without the features that no other message had; all others as they were.

    Args:
        embedder: fitted on ``messages`` messages.
        texts: what they said and nobody else did, each different text once.
        messages: how many it was fitted on.
    """
    gone: Counter[str] = Counter(feature for text in texts for feature in features(text))
    held = np.rint((1.0 + messages) / np.exp(embedder.idf - 1.0) - 1.0)
    left = np.array(
        [count > gone.get(feature, 0) for feature, count in zip(embedder.vocabulary, held, strict=True)],
        dtype=np.bool_,
    )
    if left.all():
        return embedder
    return replace(
        embedder,
        vocabulary=tuple(one for one, stays in zip(embedder.vocabulary, left, strict=True) if stays),
        idf=embedder.idf[left],
        components=embedder.components[left],
    )


def detector_without(detector: AnomalyDetector, texts: Sequence[str], embedder: Embedder) -> AnomalyDetector:
    """What is usual, without these messages.

    Args:
        detector: fitted with ``embedder``.
        texts: what they said and nobody else did, each different text once.
        embedder: as it was before.
    """
    stems, syllables = counted(texts)
    rows = {row.tobytes() for row in embedder.transform(texts)}
    return replace(
        detector,
        rows=np.array(
            [row for row in detector.rows if row.tobytes() not in rows], dtype=detector.rows.dtype
        ).reshape(-1, detector.rows.shape[1]),
        holders=_less(detector.holders, stems),
        syllables=_less(detector.syllables, syllables),
    )


def clustering_without(clustering: Clustering, texts: Sequence[str], embedder: Embedder) -> Clustering:
    """The clusters without the words in their lists that no other message had; names and places stay.

    Args:
        clustering: the clusters.
        texts: what they said and nobody else did.
        embedder: as it is afterwards.
    """
    known = set(embedder.vocabulary)
    gone = {term.stem for text in texts for term in terms(text) if f"w:{term.stem}" not in known}
    return replace(
        clustering,
        clusters=tuple(
            replace(
                one,
                terms=tuple(word for word in one.terms if not any(term.stem in gone for term in terms(word))),
            )
            for one in clustering.clusters
        ),
    )


def _less(counts: Mapping[str, int], gone: Mapping[str, int]) -> dict[str, int]:
    return {key: left for key, count in counts.items() if (left := count - gone.get(key, 0)) > 0}
