"""What was learned from traffic, without what only those said who are forgotten."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from inchworm.app.house import House
from inchworm.app.loop import noticing, observing
from inchworm.app.loop.topics import CLUSTERING, DETECTOR, EMBEDDER, text_of
from inchworm.capture.observed.forgetting import without
from inchworm.domain.configuration import AppRef
from inchworm.label.anomalies import AnomalyDetector
from inchworm.label.clusters import Clustering
from inchworm.label.embed import Embedder
from inchworm.label.forgetting import clustering_without, detector_without, embedder_without
from inchworm.store.traces.erase import Said, Theirs


def scrub(house: House, theirs: Theirs) -> int:
    """Take them out of what was learned; how many learned things changed.

    To be done while their interactions are still stored, for they tell what to look for; again after a
    crash it finds less to do.
    """
    said = house.traces.said_by(theirs)
    changed = 0
    for app in {house.app, *theirs.traces}:
        changed += _topics(house, app, said, theirs)
        changed += _observed(house, app, said, theirs)
        changed += _noticed(house, app, theirs)
    return changed


def _observed(house: House, app: AppRef, said: Sequence[Said], theirs: Theirs) -> int:
    state = house.control.blob(app, observing.STATE)
    if state is None:
        return 0
    texts = [(one.unit, text) for one in said for text in _texts([one.inputs, one.output, one.attributes])]

    def is_common(words: Sequence[str]) -> frozenset[str]:
        written = {json.dumps(word, ensure_ascii=False)[1:-1]: word for word in words}
        found = house.traces.said_by_others(list(written), theirs)
        return frozenset(written[one] for one in found)

    before = zlib.decompress(state)
    after = without(before, units=theirs.units, said=texts, is_common=is_common)
    return 0 if before == after else _put(house, app, observing.STATE, zlib.compress(after))


def _noticed(house: House, app: AppRef, theirs: Theirs) -> int:
    """Versions and names of models are nobody's; ids of somebody could stand there by mistake."""
    state = house.control.blob(app, noticing.STATE)
    if state is None:
        return 0
    before = zlib.decompress(state)
    content = json.loads(before)
    named = {name for name in theirs.units if f'"{name}"'.encode() in before}
    content["watched"] = [one for one in content.get("watched", []) if not named & set(_texts(one))]
    after = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() if named else before
    return 0 if before == after else _put(house, app, noticing.STATE, zlib.compress(after))


def _topics(house: House, app: AppRef, said: Sequence[Said], theirs: Theirs) -> int:
    control = house.control
    frozen = [control.blob(app, kind) for kind in (EMBEDDER, CLUSTERING, DETECTOR)]
    if frozen[0] is None or frozen[1] is None or frozen[2] is None:
        return 0
    written = {
        json.dumps(text, ensure_ascii=False)[1:-1]: text for one in said if (text := text_of(one.inputs))
    }
    common = house.traces.said_by_others(list(written), theirs)
    texts = [text for form, text in written.items() if form not in common]
    if not texts:
        return 0
    embedder, detector = Embedder.from_bytes(frozen[0]), AnomalyDetector.from_bytes(frozen[2])
    left = embedder_without(embedder, texts, messages=detector.messages)
    clusters = clustering_without(Clustering.from_bytes(frozen[1]), texts, left)
    usual = detector_without(detector, texts, embedder)
    changed = 0
    for kind, before, after in (
        (DETECTOR, frozen[2], usual.to_bytes()),
        (CLUSTERING, frozen[1], clusters.to_bytes()),
        (EMBEDDER, frozen[0], left.to_bytes()),
    ):
        changed += 0 if before == after else _put(house, app, kind, after)
    return changed


def _put(house: House, app: AppRef, kind: str, data: bytes) -> int:
    house.control.put_blob(app, kind, data, at=house.now())
    return 1


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for one in value.values():
                yield from _texts(one)
        case list() | tuple():
            for one in value:
                yield from _texts(one)
        case _:
            return
