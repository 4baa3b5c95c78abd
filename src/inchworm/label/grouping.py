"""The numerics of clustering unit vectors: how many groups, and which row is in which.

Ward's tree proposes, the silhouette decides how many, spherical k-means settles the borders. No
randomness anywhere, and rows come in a canonical order, so that the same rows always give the same
groups.
"""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.cluster.hierarchy import fcluster, linkage

from inchworm.label.embed import Vectors

NOISE: Final = -1
"""The label of a row that belongs to no cluster."""

Labels: TypeAlias = npt.NDArray[np.int64]

_TREE_LIMIT: Final = 2_500
_MAX_CLUSTERS: Final = 80
_CANDIDATES: Final = 48
_NEAR_BEST: Final = 0.9
_LEAST_SILHOUETTE: Final = 0.1
_ROUNDS: Final = 25
_FLOOR: Final = 0.35
_SPREADS: Final = 3.0


def similarities(rows: Vectors, centroids: Vectors) -> npt.NDArray[np.float64]:
    """Cosine of each row with each centroid, shape (rows, centroids).

    Not by BLAS, whose last bit depends on how many rows it is given: a row must be assigned alike
    alone and in a batch.
    """
    wide = rows.astype(np.float64), centroids.astype(np.float64)
    return np.asarray(np.einsum("nd,kd->nk", *wide, optimize=False), dtype=np.float64)


def centroids_of(rows: Vectors, labels: Labels, count: int) -> Vectors:
    """Mean direction of each group, shape (count, dimensions); a group without rows is zeros."""
    sums = _sums(rows, labels, count)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    np.divide(sums, lengths, out=sums, where=lengths > 0)
    return sums.astype(np.float32)


def _sums(rows: Vectors, labels: Labels, count: int) -> npt.NDArray[np.float64]:
    """Sum of the rows of each group, shape (count, dimensions); rows of noise are in none."""
    member = np.flatnonzero(labels >= 0)
    places = (np.ones(len(member)), (labels[member], member))
    return np.asarray(sparse.csr_array(places, shape=(count, len(rows))) @ rows.astype(np.float64))


def floors_of(rows: Vectors, labels: Labels, centroids: Vectors) -> npt.NDArray[np.float64]:
    """The least similarity at which each cluster takes a row, shape (clusters,).

    Tukey's outer fence on the members' own similarities (first quartile less three interquartile
    ranges), and never under a fixed floor where likeness would be chance.
    """
    floors = np.full(len(centroids), _FLOOR)
    for at, centroid in enumerate(centroids):
        near = similarities(rows[labels == at], centroid[None, :])[:, 0]
        if len(near):
            low, high = np.quantile(near, [0.25, 0.75])
            # A tight cluster may widen a little: new ways of asking are not outliers.
            floors[at] = max(_FLOOR, min(low - _SPREADS * (high - low), 0.6))
    return floors


def nearest(rows: Vectors, centroids: Vectors, floors: npt.NDArray[np.float64]) -> Labels:
    """The nearest centroid of each row, or :data:`NOISE` if the nearest is not near enough."""
    return _nearest(similarities(rows, centroids), floors)


def _nearest(near: npt.NDArray[np.float64], floors: npt.NDArray[np.float64]) -> Labels:
    if near.size == 0:
        return np.full(len(near), NOISE, dtype=np.int64)
    best = near.argmax(axis=1)
    return np.where(near[np.arange(len(near)), best] >= floors[best], best, NOISE).astype(np.int64)


def silhouette(rows: Vectors, labels: Labels) -> float:
    """Mean silhouette (Rousseeuw 1987) with the cosine distance, in O(rows x groups).

    For rows of length 1 the mean distance to a group is 1 less the dot product with the group's
    mean, so that no pair of rows is visited.
    """
    _, group = np.unique(labels, return_inverse=True)
    sizes = np.bincount(group)
    if len(sizes) < 2:
        return 0.0
    wide = rows.astype(np.float64)
    dots = wide @ _sums(rows, group, len(sizes)).T
    each = np.arange(len(wide))
    own = 1.0 - (dots[each, group] - 1.0) / np.maximum(sizes[group] - 1, 1)
    away = 1.0 - dots / sizes
    away[each, group] = np.inf
    other = away.min(axis=1)
    value = (other - own) / np.maximum(np.maximum(own, other), 1e-12)
    return float(np.where(sizes[group] == 1, 0.0, value).mean())


def group(rows: Vectors, *, least: int, most: int | None = None) -> tuple[Vectors, npt.NDArray[np.float64]]:
    """Find clusters among rows of length 1, in canonical order.

    Args:
        rows: shape (rows, dimensions), none of them zero.
        least: rows that make a cluster; smaller groups are dissolved.
        most: clusters at most; by default a sixth of the rows, 80 at the highest.

    Returns:
        Centroids, shape (clusters, dimensions), and the floors that go with them.
    """
    labels = _first_guess(rows, most or max(2, min(_MAX_CLUSTERS, len(rows) // 6)))
    while True:
        sizes = np.bincount(labels[labels >= 0], minlength=1)
        kept = np.flatnonzero(sizes >= least)
        if len(kept) == 0:
            return rows[:0], np.zeros(0)
        rename = np.full(len(sizes), NOISE, dtype=np.int64)
        rename[kept] = np.arange(len(kept))
        labels = np.where(labels >= 0, rename[labels], NOISE)
        centroids, labels = _settle(rows, labels, len(kept))
        floors = floors_of(rows, labels, centroids)
        labels = nearest(rows, centroids, floors)
        if np.bincount(labels[labels >= 0], minlength=len(kept)).min() >= least:
            return centroids, floors


def _settle(rows: Vectors, labels: Labels, count: int) -> tuple[Vectors, Labels]:
    """Spherical k-means (Dhillon & Modha 2001) from given groups; far rows pull no centroid."""
    floors = np.full(count, _FLOOR)
    centroids = centroids_of(rows, labels, count)
    for _ in range(_ROUNDS):
        moved = _nearest((rows @ centroids.T).astype(np.float64), floors)
        if np.array_equal(moved, labels):
            break
        labels = moved
        centroids = centroids_of(rows, labels, count)
    return centroids, labels


def _first_guess(rows: Vectors, most: int) -> Labels:
    """Groups from Ward's tree over at most a few thousand rows, cut where the silhouette says."""
    step = -(-len(rows) // _TREE_LIMIT) if len(rows) else 1
    seen = rows[::step]
    if len(seen) < 2 or most < 2:
        return np.zeros(len(rows), dtype=np.int64)
    tree = linkage(seen.astype(np.float64), "ward")
    best: list[tuple[int, float, Vectors]] = []
    for wanted in _candidates(min(most, len(seen))):
        cut = fcluster(tree, wanted, "maxclust").astype(np.int64) - 1
        centroids, settled = _settle(seen, cut, int(cut.max()) + 1)
        value = silhouette(seen, settled) if (settled >= 0).any() else 0.0
        best.append((wanted, value, centroids))
    top = max(value for _, value, _ in best)
    if top < _LEAST_SILHOUETTE:
        return np.zeros(len(rows), dtype=np.int64)
    # The smallest number that is nearly as good as the best: near-duplicates make the silhouette
    # creep upwards for ever, and a person reads twenty clusters, not eighty.
    centroids = next(found for _, value, found in best if value >= _NEAR_BEST * top)
    return nearest(rows, centroids, np.full(len(centroids), _FLOOR))


def _candidates(most: int) -> list[int]:
    """Numbers of clusters to try: each small one, then in growing steps up to ``most``."""
    return sorted({round(x) for x in np.geomspace(2, most, _CANDIDATES)})
