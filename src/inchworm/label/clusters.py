"""Topics of messages: found once, named, frozen; later messages are assigned to them.

``Clustering.fit`` finds the topics, ``Clustering.assign`` is the only way in which any message, old
or new, gets its topic, so that both always agree. A message that is near no topic stays outside:
it is the anomalies' business.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from inchworm.domain.outcome import Unscored
from inchworm.label.embed import Vectors
from inchworm.label.frozen import FrozenStateError, pack, unpack
from inchworm.label.grouping import NOISE, Labels, group, nearest, similarities
from inchworm.label.naming import name_clusters
from inchworm.label.terms import terms
from inchworm.label.threads import one_thread
from inchworm.stats.intervals import wilson

__all__ = ["CLUSTERING_VERSION", "NOISE", "Cluster", "ClusterQuality", "Clustering", "PassRate"]

CLUSTERING_VERSION: Final = 1
"""Version of the saved form."""

_EXEMPLARS: Final = 5
_LEAST_MEMBERS: Final = 3
_LEAST_SHARE: Final = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One topic, as it was when it was found.

    Attributes:
        id: ``c-`` and twelve hexadecimal characters, derived from the leading words.
        name: two or three words.
        terms: the leading words, best first.
        size: messages in it at the fit.
        share: of all messages at the fit, those outside every cluster included.
        exemplars: positions in the fitted texts, nearest to the centroid first, no text twice.
    """

    id: str
    name: str
    terms: tuple[str, ...]
    size: int
    share: float
    exemplars: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRate:
    """Passed of scored messages, with Wilson's 95 % interval."""

    passed: int
    scored: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterQuality:
    """How well one cluster's messages did."""

    cluster: Cluster
    messages: int
    quality: PassRate | Unscored


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clustering:
    """Frozen clusters; make them with :meth:`fit`.

    Attributes:
        clusters: largest first.
        centroids: shape (clusters, dimensions), rows of length 1.
        floors: least cosine at which each cluster takes a message, shape (clusters,).
    """

    clusters: tuple[Cluster, ...]
    centroids: Vectors
    floors: npt.NDArray[np.float64]

    @classmethod
    def fit(
        cls, embeddings: Vectors, texts: Sequence[str], *, least: int | None = None, most: int | None = None
    ) -> Self:
        """Find and name the topics; the order of the messages does not matter.

        Args:
            embeddings: shape (texts, dimensions), from an ``Embedder``; zero rows stay outside.
            texts: the messages that were embedded, in the same order.
            least: messages that make a cluster; by default 3, or 0.5 % of all if that is more.
            most: clusters at most; by default a sixth of the messages, 80 at the highest.

        Returns:
            The frozen clusters; none if no messages are alike.

        Raises:
            ValueError: if rows and texts differ in number, or a bound is below 1.
        """
        if len(embeddings) != len(texts):
            msg = f"{len(embeddings)} embeddings for {len(texts)} texts; pass one row for each text"
            raise ValueError(msg)
        if (least is not None and least < 1) or (most is not None and most < 1):
            msg = f"least and most must be at least 1, got least={least}, most={most}"
            raise ValueError(msg)
        filled = np.flatnonzero(np.any(embeddings != 0, axis=1))
        order = np.array(
            sorted(filled.tolist(), key=lambda at: (texts[at], embeddings[at].tobytes())), dtype=np.int64
        )
        rows = embeddings[order]
        members = least or max(_LEAST_MEMBERS, ceil(len(texts) * _LEAST_SHARE))
        with one_thread():
            centroids, floors = group(rows, least=members, most=most)
        labels = nearest(rows, centroids, floors)
        sizes = np.bincount(labels[labels >= 0], minlength=len(centroids))
        ranked = sorted(range(len(centroids)), key=lambda at: (-int(sizes[at]), centroids[at].tobytes()))
        positions = [order[labels == at] for at in ranked]
        named = name_clusters([[terms(texts[at]) for at in place] for place in positions])
        return cls(
            clusters=tuple(
                Cluster(
                    id=label.id,
                    name=label.name,
                    terms=label.terms,
                    size=len(place),
                    share=len(place) / len(texts),
                    exemplars=_exemplars(embeddings, texts, place, centroids[at]),
                )
                for label, place, at in zip(named, positions, ranked, strict=True)
            ),
            centroids=centroids[ranked],
            floors=floors[ranked],
        )

    def assign(self, embeddings: Vectors) -> Labels:
        """Give each message its cluster.

        Args:
            embeddings: shape (texts, dimensions), from the embedder of the fit.

        Returns:
            Positions in ``clusters``, or ``NOISE`` (-1) for a message near none; shape (texts,).
        """
        return nearest(embeddings, self.centroids, self.floors)

    def quality(
        self, labels: Labels, passed: npt.NDArray[np.bool_], scored: npt.NDArray[np.bool_]
    ) -> tuple[ClusterQuality, ...]:
        """Pass rate of each cluster.

        Args:
            labels: from :meth:`assign`, shape (messages,).
            passed: whether each message's answer passed; read only where ``scored``.
            scored: whether there is a score at all; what is not scored counts nowhere.

        Returns:
            One for each cluster, in the order of ``clusters``.

        Raises:
            ValueError: if the three differ in length.
        """
        if not len(labels) == len(passed) == len(scored):
            msg = f"{len(labels)} labels, {len(passed)} outcomes and a mask of {len(scored)}; they must match"
            raise ValueError(msg)
        result = []
        for at, cluster in enumerate(self.clusters):
            inside = labels == at
            counted = int((inside & scored).sum())
            good = int((inside & scored & passed).sum())
            result.append(
                ClusterQuality(cluster=cluster, messages=int(inside.sum()), quality=_pass_rate(good, counted))
            )
        return tuple(result)

    def to_bytes(self) -> bytes:
        """Save without pickle: the same clusters always give the same bytes."""
        listed = json.dumps(
            [asdict(cluster) for cluster in self.clusters], ensure_ascii=False, sort_keys=True
        )
        return pack(
            "clustering",
            CLUSTERING_VERSION,
            {
                "clusters": np.frombuffer(listed.encode(), dtype=np.uint8),
                "centroids": self.centroids,
                "floors": self.floors,
            },
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Load what :meth:`to_bytes` saved.

        Raises:
            FrozenStateError: if the bytes are something else, or of another version.
        """
        arrays = unpack(data, "clustering", CLUSTERING_VERSION, ("clusters", "centroids", "floors"))
        try:
            clusters = tuple(
                Cluster(**{**one, "terms": tuple(one["terms"]), "exemplars": tuple(one["exemplars"])})
                for one in json.loads(arrays["clusters"].tobytes())
            )
        except (KeyError, TypeError, ValueError) as error:
            msg = f"the saved clusters cannot be read ({error})"
            raise FrozenStateError(msg, hint="fit them again") from error
        return cls(clusters=clusters, centroids=arrays["centroids"], floors=arrays["floors"])


def _pass_rate(passed: int, scored: int) -> PassRate | Unscored:
    if scored == 0:
        return Unscored(reason="no message of this cluster has a score yet")
    interval = wilson(passed, scored)
    return PassRate(passed=passed, scored=scored, rate=passed / scored, low=interval.low, high=interval.high)


def _exemplars(
    embeddings: Vectors, texts: Sequence[str], place: npt.NDArray[np.int64], centroid: Vectors
) -> tuple[int, ...]:
    near = similarities(embeddings[place], centroid[None, :])[:, 0]
    ranked = sorted(zip((-near).tolist(), (texts[at] for at in place), place.tolist(), strict=True))
    chosen: dict[str, int] = {}
    for _, text, at in ranked:
        chosen.setdefault(" ".join(term.stem for term in terms(text)), at)
        if len(chosen) == _EXEMPLARS:
            break
    return tuple(chosen.values())
