"""What people ask about: fitted once, frozen, loaded by the next process, assigned on the way in."""

import pytest
from tests.unit.app.loop.world import NOW, THINGS, World, questions

from inchworm.app.loop.topics import OTHER, Topics, fit, text_of
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import TraceId
from inchworm.domain.outcome import Score, Scored
from inchworm.label.clusters import ClusterQuality, PassRate


def clusters(world: World) -> dict[TraceId, str]:
    return world.house.traces.clusters(world.house.app)


def test_an_empty_store_says_what_to_do(world):
    with pytest.raises(NotFoundError) as caught:
        fit(world.house)
    assert caught.value.hint == "inchworm import FILE.jsonl"


def test_interactions_without_content_are_no_topics(world):
    world.take([world.trace(n, f"bare-{n}", inputs={}, output=None, reference=None) for n in range(9)])
    with pytest.raises(NotFoundError):
        fit(world.house)
    world.history(120)
    picture = fit(world.house)
    assert picture.interactions == 120
    assert not any(name.startswith("t-bare") for name in clusters(world))
    world.reopen()
    world.take([world.trace(0, "bare-later", inputs={}, output=None), world.trace(0, "full")])
    assert TraceId("t-full") in clusters(world)
    assert TraceId("t-bare-later") not in clusters(world)


def test_the_three_topics_are_found_with_their_quality(world):
    world.history(300)
    picture = fit(world.house)
    assert picture.metric == "answered"
    assert picture.interactions == 300
    found = clusters(world)
    assert len(found) == 300
    # Whatever the topics are called, a question's kind decides which it is in.
    kinds: dict[int, set[str]] = {kind: set() for kind in range(3)}
    for n in range(300):
        kinds[n % 60 // len(THINGS)].add(found[TraceId(f"t-h-{n}")])
    assert all(len(names) == 1 for names in kinds.values())
    assert len(set.union(*kinds.values())) == 3
    assert [one.messages for one in picture.topics] == [100, 100, 100]
    for one in picture.topics:
        assert isinstance(one.quality, PassRate)
        assert (one.quality.scored, one.quality.passed) == (100, 90)
    assert picture.unclustered == 0


def test_frozen_topics_are_loaded_by_the_next_process(world):
    world.history(120)
    later = [world.trace(n, f"later-{n}") for n in range(60)]
    assert Topics(world.house).assign(later) == {}
    fit(world.house)
    before = Topics(world.house).assign(later)
    world.reopen()
    assert Topics(world.house).assign(later) == before
    world.take(later)
    found = clusters(world)
    assert {name: found[name] for name in before} == before
    assert {found[TraceId(f"t-later-{n}")] for n in range(60)} == set(before.values())
    assert all(found[TraceId(f"t-later-{n}")] == found[TraceId(f"t-h-{n}")] for n in range(60))


def test_what_is_near_no_topic_is_other(world):
    world.history(120)
    fit(world.house)
    odd = world.trace(
        0, "odd", inputs={"question": "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich"}
    )
    assert Topics(world.house).assign([odd]) == {odd.id: OTHER}


def test_fitting_twice_gives_the_same(world):
    world.history(120)
    first = fit(world.house)
    named = clusters(world)
    world.reopen()
    assert fit(world.house) == first
    assert clusters(world) == named


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_handful_of_interactions_can_be_looked_at(world, count):
    world.take([world.trace(n, f"few-{n}") for n in range(count)])
    assert fit(world.house).interactions == count
    assert set(clusters(world)) == {TraceId(f"t-few-{n}") for n in range(count)}


def test_quality_goes_by_the_latest_score(world):
    world.history(120)
    app, changed = world.house.app, []
    for trace in world.stored():
        worse = Score(metric="answered", result=Scored(value=0.0), source="human:bo", at=NOW + 1)
        changed.append((app, trace.id, worse))
    world.house.traces.add_scores(changed)
    assert {passed(one) for one in fit(world.house).topics} == {0}


def passed(topic: ClusterQuality) -> int:
    assert isinstance(topic.quality, PassRate)
    return topic.quality.passed


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"question": "a", "documents": ["b"]}, "a"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "a"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "b"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, '[{"type": "text"}]'),
        ({"messages": ["a"], "topic": "b"}, "b"),
        ({"messages": [{"content": "a"}], "topic": "b"}, "b"),
        ({"subject": "a", "n": 1, "body": "b"}, "a b"),
        ({"n": 1}, ""),
        ({"question": 7}, ""),
    ],
)
def test_the_text_of_an_interaction_is_what_a_person_said(inputs, text):
    assert text_of(inputs) == text


def test_the_made_up_questions_hold_no_personal_data(world):
    world.history(60)
    stored = sorted(world.stored(), key=lambda trace: int(trace.id.removeprefix("t-h-")))
    assert [trace.inputs for trace in stored] == [inputs for inputs, _ in questions()]
