import numpy as np
import pytest

from inchworm.domain.errors import InchwormError
from inchworm.label.anomalies import AnomalyDetector
from inchworm.label.clusters import Clustering
from inchworm.label.embed import Embedder
from inchworm.label.frozen import FrozenStateError, pack, strings_from, strings_to, unpack


def test_arrays_and_strings_come_back():
    words = ["", "naïve", "日本", 'quote"']
    data = pack("thing", 1, {"numbers": np.arange(3.0), "words": strings_to(words)})
    back = unpack(data, "thing", 1, ("numbers", "words"))
    assert back["numbers"].tolist() == [0.0, 1.0, 2.0]
    assert strings_from(back["words"]) == tuple(words)


@pytest.mark.parametrize(
    "data",
    [b"", b"nonsense", b"PK\x03\x04", pack("other", 1, {}), pack("thing", 2, {}), pack("thing", 1, {})],
)
def test_what_is_something_else_is_refused(data):
    with pytest.raises(FrozenStateError):
        unpack(data, "thing", 1, ("numbers",))


def test_a_cut_file_is_refused():
    data = pack("thing", 1, {"numbers": np.arange(300.0)})
    with pytest.raises(FrozenStateError):
        unpack(data[: len(data) // 2], "thing", 1, ("numbers",))


@pytest.mark.parametrize("kind", [Embedder, Clustering, AnomalyDetector])
def test_every_kind_refuses_another(kind):
    with pytest.raises(InchwormError) as caught:
        kind.from_bytes(pack("thing", 1, {}))
    assert caught.value.hint is not None


def test_broken_lists_inside_are_refused():
    broken = np.frombuffer(b'[{"id": 1}]', dtype=np.uint8)
    data = pack("clustering", 1, {"clusters": broken, "centroids": np.zeros((1, 2)), "floors": np.zeros(1)})
    with pytest.raises(FrozenStateError, match="cannot be read"):
        Clustering.from_bytes(data)
    data = pack("anomaly detector", 1, {"rows": np.zeros((1, 2)), "usual": broken})
    with pytest.raises(FrozenStateError, match="cannot be read"):
        AnomalyDetector.from_bytes(data)
