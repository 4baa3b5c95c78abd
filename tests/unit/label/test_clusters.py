from collections import Counter

import numpy as np
import pytest

from inchworm.domain.outcome import Unscored
from inchworm.label.clusters import NOISE, Clustering, PassRate
from inchworm.label.embed import Embedder
from inchworm.stats.intervals import wilson


@pytest.fixture(scope="module")
def fitted(corpus):
    texts, topics = corpus
    rows = Embedder.fit(texts).transform(texts)
    return texts, topics, rows, Clustering.fit(rows, texts)


def test_clusters_are_pure_and_cover_the_topics(fitted):
    _, topics, rows, clustering = fitted
    labels = clustering.assign(rows)
    main = [
        Counter(np.array(topics)[labels == at].tolist()).most_common(1)[0]
        for at in range(len(clustering.clusters))
    ]
    assert {topic for topic, _ in main} == set(topics)
    assert sum(count for _, count in main) / (labels != NOISE).sum() >= 0.9
    assert (labels == NOISE).mean() <= 0.05


def test_names_come_from_the_words_of_the_topic(fitted):
    texts, _, rows, clustering = fitted
    labels = clustering.assign(rows)
    for at, cluster in enumerate(clustering.clusters):
        own = " ".join(np.array(texts)[labels == at].tolist()).casefold()
        words = cluster.name.replace(" · ", " ").split()
        assert 2 <= len(words) <= 3
        assert all(word in own for word in words)
        assert not {"name", "email", "hello", "thanks"} & set(words)


def test_names_and_ids_are_distinct(fitted):
    clusters = fitted[3].clusters
    assert (
        len({cluster.id for cluster in clusters})
        == len({cluster.name for cluster in clusters})
        == len(clusters)
    )


def test_sizes_shares_and_exemplars_agree_with_assign(fitted):
    texts, _, rows, clustering = fitted
    labels = clustering.assign(rows)
    sizes = [cluster.size for cluster in clustering.clusters]
    assert sizes == [int((labels == at).sum()) for at in range(len(sizes))]
    assert sizes == sorted(sizes, reverse=True)
    for at, cluster in enumerate(clustering.clusters):
        assert cluster.share == cluster.size / len(texts)
        assert cluster.exemplars
        assert all(labels[index] == at for index in cluster.exemplars)


def test_the_order_of_the_messages_does_not_matter(fitted):
    texts, _, rows, clustering = fitted
    order = np.random.default_rng(5).permutation(len(texts))
    again = Clustering.fit(rows[order], [texts[at] for at in order])
    assert np.array_equal(again.centroids, clustering.centroids)
    assert np.array_equal(again.assign(rows), clustering.assign(rows))
    for one, other in zip(again.clusters, clustering.clusters, strict=True):
        assert (one.id, one.name, one.terms, one.size) == (other.id, other.name, other.terms, other.size)
        assert [texts[order[at]] for at in one.exemplars] == [texts[at] for at in other.exemplars]


def test_a_message_is_assigned_alike_alone_and_in_a_batch(fitted):
    _, _, rows, clustering = fitted
    assert [int(clustering.assign(row[None, :])[0]) for row in rows] == clustering.assign(rows).tolist()


def test_saved_and_loaded_to_the_bit(fitted):
    _, _, rows, clustering = fitted
    again = Clustering.from_bytes(clustering.to_bytes())
    assert again.clusters == clustering.clusters
    assert again.to_bytes() == clustering.to_bytes()
    assert np.array_equal(again.assign(rows), clustering.assign(rows))


def test_new_messages_of_a_topic_join_it_and_strangers_stay_outside(corpus):
    texts, topics = corpus
    embedder = Embedder.fit(texts)
    rows = embedder.transform(texts)
    clustering = Clustering.fit(rows, texts)
    new, stranger = clustering.assign(
        embedder.transform(["is the swimming pool open on sunday", "quantum chess"])
    )
    inside = np.array(topics)[clustering.assign(rows) == new].tolist()
    assert Counter(inside).most_common(1)[0][0] == "swimming"
    assert stranger == NOISE


def test_quality_counts_only_what_is_scored(fitted):
    _, _, rows, clustering = fitted
    labels = clustering.assign(rows)
    scored = labels == 0
    passed = np.arange(len(rows)) % 3 > 0
    first, *others = clustering.quality(labels, passed, scored)
    good, n = int((passed & scored).sum()), int(scored.sum())
    interval = wilson(good, n)
    assert first.quality == PassRate(
        passed=good, scored=n, rate=good / n, low=interval.low, high=interval.high
    )
    assert all(isinstance(other.quality, Unscored) for other in others)
    assert [one.messages for one in (first, *others)] == [cluster.size for cluster in clustering.clusters]


def test_what_an_unscored_message_would_have_been_does_not_matter(fitted):
    _, _, rows, clustering = fitted
    labels = clustering.assign(rows)
    scored = np.arange(len(rows)) % 2 == 0
    passed = np.arange(len(rows)) % 3 == 0
    assert clustering.quality(labels, passed, scored) == clustering.quality(labels, passed | ~scored, scored)


@pytest.mark.parametrize(
    ("texts", "count"),
    [
        ([], 0),
        (["parcel lost"], 0),
        ([""] * 9, 0),
        (["hello", "NAME_1", ""] * 4, 0),
        (["where is my parcel"] * 9, 1),
        (["where is my parcel"] * 9 + ["boots"], 1),
        (["where is my parcel"] * 9 + ["reset the password"] * 9, 2),
    ],
)
def test_small_and_empty_inputs(texts, count):
    embedder = Embedder.fit(texts)
    rows = embedder.transform(texts)
    clustering = Clustering.fit(rows, texts)
    labels = clustering.assign(rows)
    assert len(clustering.clusters) == count
    assert sum(cluster.size for cluster in clustering.clusters) == (labels != NOISE).sum()
    assert Clustering.from_bytes(clustering.to_bytes()).clusters == clustering.clusters
    nothing = np.zeros(len(texts), dtype=np.bool_)
    assert len(clustering.quality(labels, nothing, nothing)) == count
    assert clustering.assign(embedder.transform([""])).tolist() == [NOISE]


def test_bounds_are_kept(corpus):
    texts, _ = corpus
    rows = Embedder.fit(texts).transform(texts)
    assert len(Clustering.fit(rows, texts, most=2).clusters) <= 2
    assert all(cluster.size >= 20 for cluster in Clustering.fit(rows, texts, least=20).clusters)


def test_more_messages_than_the_tree_holds(corpus, monkeypatch):
    texts, _ = corpus
    monkeypatch.setattr("inchworm.label.grouping._TREE_LIMIT", 70)
    rows = Embedder.fit(texts).transform(texts)
    clustering = Clustering.fit(rows, texts)
    assert sum(cluster.size for cluster in clustering.clusters) >= 0.9 * len(texts)


def test_what_does_not_match_is_refused(fitted):
    texts, _, rows, clustering = fitted
    with pytest.raises(ValueError, match="one row for each text"):
        Clustering.fit(rows[:3], texts)
    with pytest.raises(ValueError, match="at least 1"):
        Clustering.fit(rows, texts, least=0)
    with pytest.raises(ValueError, match="must match"):
        clustering.quality(clustering.assign(rows), np.zeros(2, dtype=np.bool_), np.zeros(2, dtype=np.bool_))
