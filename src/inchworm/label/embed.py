"""Text embeddings that need no network, no model file and no graphics card.

Latent semantic analysis (Deerwester et al. 1990): term frequency times inverse document frequency of
words, word pairs and character n-grams, reduced by a truncated singular value decomposition and
normalised to length 1, so that the dot product of two rows is their cosine similarity. Fitting is
deterministic and does not depend on the order of the texts; a fitted :class:`Embedder` is frozen, and
saves to bytes without pickle.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from inchworm.label.frozen import pack, strings_from, strings_to, unpack
from inchworm.label.terms import terms
from inchworm.label.threads import one_thread

EMBEDDER_VERSION: Final = 1
"""Version of the saved form, and of the reading of words that it was fitted with."""

_PREFIX_SHARE: Final = {"w": 0.7, "p": 0.4, "c": 1.0}
_MAX_FEATURES: Final = 30_000
_RARE_FROM: Final = 200
_OVERSAMPLING: Final = 16
_POWER_ITERATIONS: Final = 4
_DENSE_LIMIT: Final = 300

Vectors: TypeAlias = npt.NDArray[np.float32]
"""Rows of length 1, or of zeros for a text with nothing to read: shape (texts, dimensions)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embedder:
    """A fitted map from texts to vectors; make one with :meth:`fit`.

    Attributes:
        vocabulary: the features in the order of their columns: ``w:`` words, ``p:`` pairs of
            neighbouring words, ``c:`` character n-grams.
        idf: inverse document frequency of each feature, shape (features,).
        components: the projection, shape (features, dimensions); dimensions beyond the rank of the
            texts are 0.
    """

    vocabulary: tuple[str, ...]
    idf: npt.NDArray[np.float64]
    components: npt.NDArray[np.float64]

    @property
    def dimensions(self) -> int:
        """Length of the vectors."""
        return int(self.components.shape[1])

    @classmethod
    def fit(cls, texts: Sequence[str], *, dimensions: int = 48, seed: int = 0) -> Self:
        """Learn vocabulary, weights and projection from texts.

        Args:
            texts: messages, sanitized; any number, also none. Their order does not matter.
            dimensions: length of the vectors to make.
            seed: of the randomised decomposition; the same texts and seed give the same bits.

        Returns:
            The fitted embedder.

        Raises:
            ValueError: if ``dimensions`` is less than 1.
        """
        if dimensions < 1:
            msg = f"an embedding needs at least 1 dimension, got {dimensions}"
            raise ValueError(msg)
        counted = [features(text) for text in sorted(texts)]
        vocabulary, frequency = _choose_vocabulary(counted)
        idf = np.log((1.0 + len(counted)) / (1.0 + frequency)) + 1.0
        weighted = _weigh(counted, vocabulary, idf)
        with one_thread():
            found = _right_singular_vectors(weighted, min(dimensions, *weighted.shape), seed)
        components = np.zeros((len(vocabulary), dimensions))
        components[:, : found.shape[1]] = found
        return cls(vocabulary=vocabulary, idf=idf, components=components)

    def transform(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, old or new.

        Each row depends on its own text only, so that a batch equals its rows embedded one by one,
        to the bit.

        Args:
            texts: messages; words that the embedder does not know are passed over.

        Returns:
            Shape (texts, dimensions), float32, each row of length 1; a text with nothing to read,
            or nothing known, is a row of zeros.
        """
        weighted = _weigh([features(text) for text in texts], self.vocabulary, self.idf)
        projected = np.asarray(weighted @ self.components, dtype=np.float64)
        lengths = np.sqrt((projected**2).sum(axis=1, keepdims=True))
        known = lengths > 1e-9  # below is rounding, not content
        rows = np.zeros_like(projected)
        np.divide(projected, lengths, out=rows, where=known)
        return rows.astype(np.float32)

    def to_bytes(self) -> bytes:
        """Save without pickle: the same embedder always gives the same bytes."""
        return pack(
            "embedder",
            EMBEDDER_VERSION,
            {"vocabulary": strings_to(self.vocabulary), "idf": self.idf, "components": self.components},
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Load what :meth:`to_bytes` saved.

        Raises:
            FrozenStateError: if the bytes are something else, or of another version.
        """
        arrays = unpack(data, "embedder", EMBEDDER_VERSION, ("vocabulary", "idf", "components"))
        return cls(
            vocabulary=strings_from(arrays["vocabulary"]),
            idf=arrays["idf"],
            components=arrays["components"],
        )


def features(text: str) -> dict[str, float]:
    """Count the features of one text, each word at its weight: ``w:`` words, ``c:`` and ``p:`` as above."""
    counts: defaultdict[str, float] = defaultdict(float)
    read = terms(text)
    for term in read:
        counts["w:" + term.stem] += term.weight
        for gram in _character_grams(term.stem):
            counts[gram] += term.weight
    for left, right in pairwise(read):
        if right.position == left.position + 1:
            counts[f"p:{left.stem} {right.stem}"] += min(left.weight, right.weight)
    return counts


@lru_cache(maxsize=65_536)
def _character_grams(word: str) -> tuple[str, ...]:
    """Character n-grams of a word with its edges marked, n = 3 and 4."""
    edged = f" {word} "
    return tuple("c:" + edged[at : at + size] for size in (3, 4) for at in range(len(edged) - size + 1))


def _choose_vocabulary(
    counted: Sequence[dict[str, float]],
) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
    """The features to keep, sorted, with the number of texts that hold each.

    In many texts, a feature that stands in one only says nothing about likeness and is left out.
    """
    frequency = Counter(feature for counts in counted for feature in counts)
    least = 2 if len(counted) >= _RARE_FROM else 1
    common = sorted((-count, feature) for feature, count in frequency.items() if count >= least)
    kept = tuple(sorted(feature for _, feature in common[:_MAX_FEATURES]))
    return kept, np.array([frequency[feature] for feature in kept], dtype=np.float64)


def _weigh(
    counted: Sequence[dict[str, float]], vocabulary: Sequence[str], idf: npt.NDArray[np.float64]
) -> sparse.csr_array:
    """TF-IDF rows, shape (texts, features), each of length 1 (or empty)."""
    column = {feature: at for at, feature in enumerate(vocabulary)}
    indptr = [0]
    indices: list[int] = []
    data: list[float] = []
    for counts in counted:
        for at, value in _row(counts, column, idf, _PREFIX_SHARE):
            indices.append(at)
            data.append(value)
        indptr.append(len(indices))
    shape = (len(counted), len(vocabulary))
    return sparse.csr_array(
        (np.array(data, dtype=np.float64), np.array(indices, dtype=np.int64), indptr), shape=shape
    )


def _row(
    counts: dict[str, float], column: dict[str, int], idf: npt.NDArray[np.float64], shares: dict[str, float]
) -> Iterator[tuple[int, float]]:
    found: dict[str, list[tuple[int, float]]] = {kind: [] for kind in shares}
    for feature, count in counts.items():
        at = column.get(feature)
        if at is not None:
            # Sublinear above 1 (a word said ten times is not ten times the topic); linear below,
            # where the count is an aside's weight.
            found[feature[0]].append(
                (at, (1.0 + float(np.log(count)) if count > 1 else count) * float(idf[at]))
            )
    scale = {
        kind: shares[kind] / float(np.sqrt(sum(value * value for _, value in entries)))
        for kind, entries in found.items()
        if entries
    }
    length = float(np.sqrt(sum(shares[kind] ** 2 for kind in scale)))
    for kind, factor in scale.items():
        for at, value in sorted(found[kind]):
            yield at, value * factor / length


def _right_singular_vectors(matrix: sparse.csr_array, rank: int, seed: int) -> npt.NDArray[np.float64]:
    """The leading right singular vectors, shape (features, at most ``rank``), signs fixed.

    Large matrices by the randomised range finder with power iterations (Halko, Martinsson & Tropp
    2011, algorithms 4.4 and 5.1), small ones exactly. The largest entry of each vector is positive.
    """
    if rank == 0:
        return np.zeros((matrix.shape[1], 0))
    if min(matrix.shape) <= max(_DENSE_LIMIT, rank + _OVERSAMPLING):
        small_side = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        gram = (small_side @ small_side.T).toarray()
        values, vectors = np.linalg.eigh(gram)
        order = np.argsort(-values, kind="stable")[:rank]
        order = order[values[order] > 1e-10 * max(1.0, float(values[-1]))]
        if matrix.shape[0] <= matrix.shape[1]:
            right = np.asarray(matrix.T @ vectors[:, order]) / np.sqrt(values[order])
        else:
            right = vectors[:, order]
    else:
        start = np.random.Generator(np.random.PCG64(seed)).standard_normal(
            (matrix.shape[1], rank + _OVERSAMPLING)
        )
        basis = np.linalg.qr(np.asarray(matrix @ start))[0]
        for _ in range(_POWER_ITERATIONS):
            basis = np.linalg.qr(np.asarray(matrix.T @ basis))[0]
            basis = np.linalg.qr(np.asarray(matrix @ basis))[0]
        _, values, rows = np.linalg.svd(np.asarray(matrix.T @ basis).T, full_matrices=False)
        keep = values[:rank] > 1e-5 * max(1.0, float(values[0]))
        right = rows[:rank][keep].T
    largest = np.argmax(np.abs(right), axis=0)
    signs = np.sign(right[largest, np.arange(right.shape[1])])
    return np.asarray(right * signs, dtype=np.float64)
