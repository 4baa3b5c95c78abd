"""Who is meant, and what they get."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.capture.fields import UnitFrom
from inchworm.domain.assignment import Token
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import InputError
from inchworm.domain.ids import RolloutId, UnitId
from inchworm.domain.published import Published, PublishedApp
from inchworm.domain.rollout import UnitKind
from inchworm.domain.serving import Candidate, ServingTable, resolve
from inchworm.domain.trace import Arm, Assignment
from inchworm.gateway.resolving import Serving, UnknownAppError, unexposed

KEY = b"t" * 32
STABLE = Configuration.of({"model": {"name": "small"}, "infrastructure": {"base_url": "http://a/v1"}})
CANDIDATE = Configuration.of({"model": {"name": "large"}, "infrastructure": {"base_url": "http://b/v1"}})
R7 = RolloutId("r-7")
ANA = UnitId("ana")


def table(name="shop/production", weight=0.5, rollout=R7):
    candidate = Candidate(
        rollout_id=rollout,
        configuration_id=CANDIDATE.id,
        stage=1,
        weight=weight,
        salt="s",
        hash_version=1,
    )
    return ServingTable(
        app=AppRef.parse(name),
        generation=3,
        stable=STABLE.id,
        candidate=candidate if weight is not None else None,
    )


def app(name="shop/production", served: ServingTable | None = None, **options):
    return PublishedApp(
        app=AppRef.parse(name),
        table=served,
        configurations={} if served is None else {STABLE.id: STABLE, CANDIDATE.id: CANDIDATE},
        **options,
    )


def serving(*apps):
    return Serving(Published(apps=apps), KEY)


def kept(arm, rollout=R7, stage=0, probability=0.05):
    return Assignment(rollout_id=rollout, stage=stage, arm=arm, probability=probability)


def decide(one, unit=ANA, unit_from=UnitFrom.STATED, headers=None, before=None):
    return one.decide(one.apps[0], unit, unit_from, headers or {}, before)


# --- who is meant

THREE = serving(app("docs/production"), app("shop/production"), app("shop/staging"), app("xy/staging"))


@pytest.mark.parametrize(
    ("headers", "body", "expected", "call"),
    [
        ({}, {}, "docs/production", None),
        ({"inchworm-app": "shop"}, {}, "shop/production", None),
        ({"inchworm-app": "shop/staging"}, {}, "shop/staging", None),
        ({"inchworm-app": "xy"}, {}, "xy/staging", None),
        ({}, {"model": "app:shop/rerank"}, "shop/production", "rerank"),
        ({}, {"model": "app:shop"}, "shop/production", None),
        ({"inchworm-app": "shop/staging"}, {"model": "app:shop/rerank"}, "shop/staging", "rerank"),
        ({"inchworm-call": "h"}, {"model": "app:shop/m", "inchworm": {"call": "b"}}, "shop/production", "h"),
        ({}, {"model": "app:shop/m", "inchworm": {"call": "b"}}, "shop/production", "b"),
        ({}, {"model": "gpt", "inchworm": {"call": 7}}, "docs/production", None),
        ({}, {"model": 7, "inchworm": 7}, "docs/production", None),
    ],
)
def test_who_is_meant(headers, body, expected, call):
    route = THREE.route(headers, body)
    assert (str(route.app.app), route.call) == (expected, call)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"inchworm-app": "shp"}, {}),
        ({"inchworm-app": "docs/staging"}, {}),
        ({}, {"model": "app:shp/answer"}),
        ({}, {"model": "app:"}),
    ],
)
def test_an_app_that_is_not_served_is_refused_and_those_that_are_are_named(headers, body):
    with pytest.raises(UnknownAppError, match="shop/staging"):
        THREE.route(headers, body)


def test_where_nothing_is_served_that_is_said():
    with pytest.raises(UnknownAppError, match="served: none"):
        serving().route({}, {})


# --- what they get


def test_an_app_that_is_only_observed_has_no_configuration_and_no_assignment():
    one = serving(app(infrastructure={"base_url": "http://c/v1"}))
    got = decide(one)
    assert (got.compiled, got.configuration_id, got.assignment, got.fresh) == (None, None, None, False)
    assert got.infrastructure == {"base_url": "http://c/v1"}
    assert unexposed(one.apps[0], got) is got


def test_without_a_rollout_everybody_gets_stable():
    got = decide(serving(app(served=table(weight=None))), headers={"inchworm-token": "t1.x.y"})
    assert (got.configuration_id, got.assignment, got.fresh) == (STABLE.id, None, False)
    assert not got.token_refused  # nobody asked it


@given(st.text(min_size=1), st.sampled_from([0.0, 0.05, 0.5, 1.0]))
def test_a_unit_that_comes_first_is_drawn_as_the_domain_draws(unit, weight):
    served = table(weight=weight)
    got = decide(serving(app(served=served)), UnitId(unit))
    expected = resolve(served, UnitId(unit))
    assert (got.configuration_id, got.assignment) == (expected.configuration_id, expected.assignment)
    assert got.fresh
    where = "http://b/v1" if got.configuration_id == CANDIDATE.id else "http://a/v1"
    assert got.infrastructure["base_url"] == where


@pytest.mark.parametrize("arm", list(Arm))
def test_a_unit_that_is_remembered_keeps_its_arm_and_is_not_exposed_again(arm):
    got = decide(serving(app(served=table())), before=kept(arm))
    assert got.assignment == kept(arm)
    assert not got.fresh


def test_what_is_remembered_of_another_rollout_does_not_count():
    got = decide(serving(app(served=table(weight=0.0))), before=kept(Arm.CANDIDATE, rollout=RolloutId("r-6")))
    assert got.configuration_id == STABLE.id
    assert got.assignment.rollout_id == R7
    assert got.fresh


@pytest.mark.parametrize("arm", list(Arm))
def test_a_token_keeps_the_arm_and_counts_before_what_is_remembered(arm):
    one = serving(app(served=table()))
    token = one.token(ANA, kept(arm))
    other = Arm.BASELINE if arm is Arm.CANDIDATE else Arm.CANDIDATE
    got = decide(one, headers={"inchworm-token": token}, before=kept(other))
    assert got.assignment == kept(arm)
    assert not got.fresh
    assert not got.token_refused


def test_a_token_of_an_ended_rollout_does_not_count():
    one = serving(app(served=table(weight=0.0)))
    token = one.token(ANA, kept(Arm.CANDIDATE, rollout=RolloutId("r-6")))
    got = decide(one, headers={"inchworm-token": token})
    assert got.configuration_id == STABLE.id
    assert not got.token_refused


def test_a_token_for_another_unit_than_the_request_names_does_not_count():
    one = serving(app(served=table(weight=0.0)))
    got = decide(one, headers={"inchworm-token": one.token(UnitId("ben"), kept(Arm.CANDIDATE))})
    assert (got.unit, got.configuration_id) == (ANA, STABLE.id)


def test_a_request_that_names_nobody_is_whom_its_token_names():
    one = serving(app(served=table(weight=0.0)))
    headers = {"inchworm-token": one.token(UnitId("ben"), kept(Arm.CANDIDATE))}
    got = decide(one, UnitId("conversation-x"), UnitFrom.FIRST_USER_MESSAGE, headers)
    assert (got.unit, got.unit_from, got.configuration_id) == ("ben", UnitFrom.STATED, CANDIDATE.id)
    requests = serving(app(served=table(weight=0.0), unit=UnitKind.REQUEST))
    got = decide(requests, UnitId("t-1"), UnitFrom.TRACE, headers)
    assert (got.unit, got.configuration_id) == ("t-1", STABLE.id)


@given(st.text() | st.just("t1." + "a" * 10_000))
def test_whatever_comes_as_a_token_is_refused_and_costs_nobody_the_answer(text):
    one = serving(app(served=table()))
    got = decide(one, headers={"inchworm-token": text})
    assert got.assignment == resolve(table(), ANA).assignment
    assert got.token_refused == bool(text)


def test_a_token_that_another_installation_signed_is_refused():
    text = Token(unit_id=ANA, assignment=kept(Arm.CANDIDATE)).sign(b"x" * 32)
    got = decide(serving(app(served=table(weight=0.0))), headers={"inchworm-token": text})
    assert got.token_refused
    assert got.configuration_id == STABLE.id


def test_a_caller_that_followed_what_it_gets_is_believed_and_one_that_followed_another_is_not():
    one = serving(app(served=table(weight=1.0)))
    assert decide(one, headers={"inchworm-configuration": CANDIDATE.id}).followed
    assert not decide(one, headers={"inchworm-configuration": STABLE.id}).followed


def test_who_cannot_be_exposed_gets_stable_and_no_assignment():
    one = serving(app(served=table(weight=1.0)))
    drawn = decide(one)
    assert drawn.configuration_id == CANDIDATE.id
    got = unexposed(one.apps[0], drawn)
    assert (got.configuration_id, got.assignment, got.fresh) == (STABLE.id, None, False)
    assert got.infrastructure["base_url"] == "http://a/v1"
    assert got.unit == ANA


def test_the_rollouts_in_flight_are_those_whose_assignments_still_count():
    one = serving(
        app(served=table()), app("docs/production", table("docs/production", None)), app("xy/staging")
    )
    assert one.rollout_ids() == {R7}


def test_a_publication_that_lacks_what_it_names_is_refused_whole():
    lacking = PublishedApp(app=AppRef.parse("shop"), table=table(), configurations={STABLE.id: STABLE})
    with pytest.raises(InputError, match="lacks the configuration"):
        serving(lacking)


def test_the_examples_of_both_configurations_are_known():
    shots = Configuration.of({"prompt": {"few_shot": [{"inputs": {"question": "Why?"}, "answer": "So."}]}})
    served = ServingTable(app=AppRef.parse("shop"), generation=1, stable=shots.id)
    one = serving(PublishedApp(app=served.app, table=served, configurations={shots.id: shots}))
    assert one.apps[0].examples == {"Why?"}
