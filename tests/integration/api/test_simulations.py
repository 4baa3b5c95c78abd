"""``POST /simulations``: what the command says, bounded in what it may cost."""

import pytest

RATES = {"baseline_rate": 0.85, "candidate_rate": 0.77, "weight": [0.05]}


def test_a_simulation_is_answered_as_the_command_does(looking):
    said = looking.post("/simulations", {**RATES, "runs": 200})
    assert said["rollback_rate"] > 0.9
    assert 100 <= said["median_candidate_units"] <= 180
    several = looking.post("/simulations", {**RATES, "runs": 20, "method": ["inchworm", "msprt"]})
    assert [one["method"] for one in several["methods"]] == ["inchworm", "msprt"]


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({**RATES, "runs": 100_000, "max_units": 10_000}, 422, "allowed here"),
        ({**RATES, "method": ["guess"]}, 422, "no method"),
        ({}, 400, "say once"),
    ],
)
def test_what_is_absurd_is_refused(looking, asked, status, said):
    answer = looking.post("/simulations", asked, status=status)
    assert said in answer["error"]["message"]
