import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inchworm.label.embed import Embedder


def test_the_same_texts_give_the_same_bytes_in_any_order(corpus):
    texts, _ = corpus
    shuffled = [texts[at] for at in np.random.default_rng(3).permutation(len(texts))]
    assert Embedder.fit(texts).to_bytes() == Embedder.fit(shuffled).to_bytes()


def test_the_large_decomposition_is_deterministic_and_agrees_with_the_exact_one(corpus, monkeypatch):
    texts, _ = corpus
    exact = Embedder.fit(texts, dimensions=8).transform(texts)
    monkeypatch.setattr("inchworm.label.embed._DENSE_LIMIT", 0)
    first, second = (Embedder.fit(texts, dimensions=8) for _ in range(2))
    assert first.to_bytes() == second.to_bytes()
    likeness = first.transform(texts).astype(float)
    assert np.allclose(likeness @ likeness.T, exact.astype(float) @ exact.T.astype(float), atol=1e-3)


def test_rows_have_length_one(corpus):
    texts, _ = corpus
    rows = Embedder.fit(texts).transform(texts)
    assert rows.dtype == np.float32
    assert rows.shape == (len(texts), 48)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-6)


def test_a_batch_equals_its_rows_one_by_one(corpus):
    texts, _ = corpus
    embedder = Embedder.fit(texts)
    batch = embedder.transform(texts[:20])
    assert np.array_equal(batch, np.vstack([embedder.transform([text]) for text in texts[:20]]))


def test_saved_and_loaded_to_the_bit(corpus):
    texts, _ = corpus
    embedder = Embedder.fit(texts)
    again = Embedder.from_bytes(embedder.to_bytes())
    assert again.to_bytes() == embedder.to_bytes()
    assert np.array_equal(again.transform(texts), embedder.transform(texts))


def test_a_topic_is_nearer_to_itself_than_to_others(corpus):
    texts, topics = corpus
    rows = Embedder.fit(texts).transform(texts)
    likeness = rows @ rows.T
    same = np.array([[one == other for one in topics] for other in topics])
    assert likeness[same].mean() > likeness[~same].mean() + 0.2


def test_courtesies_and_surrogates_do_not_move_a_text(corpus):
    texts, _ = corpus
    plain, dressed = Embedder.fit(texts).transform(
        [
            "the library card be renewed online",
            "Hello! NAME_1 here. the library card be renewed online. Thanks EMAIL_1",
        ]
    )
    assert np.allclose(plain, dressed, atol=1e-6)


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["", "", "hi"],
        ["parcel"],
        ["lost parcel"] * 400,
        ["NAME_1"] * 3,
        ["one parcel", "two boots"],
    ],
)
def test_small_and_empty_inputs(texts):
    embedder = Embedder.fit(texts)
    rows = embedder.transform([*texts, "parcel", ""])
    assert rows.shape == (len(texts) + 2, embedder.dimensions)
    assert np.isfinite(rows).all()
    assert not rows[-1].any()
    for text, row in zip(texts, rows, strict=False):
        assert np.linalg.norm(row) == pytest.approx(
            1.0 if "parcel" in text or "boots" in text else 0.0, abs=1e-5
        )


def test_dimensions_are_checked():
    with pytest.raises(ValueError, match="at least 1"):
        Embedder.fit(["parcel"], dimensions=0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=12))
def test_any_texts_can_be_embedded(texts):
    rows = Embedder.fit(texts, dimensions=4).transform(texts)
    lengths = np.linalg.norm(rows, axis=1)
    assert np.all((lengths == 0) | (np.abs(lengths - 1) < 1e-5))
