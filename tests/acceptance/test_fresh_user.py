"""A fresh user's path, from a file of interactions to a change that was rolled back."""

import json
import re
import time

import pytest
from tests.unit.app.cli import small_shop

pytestmark = pytest.mark.slow


def test_from_a_file_of_interactions_to_a_rollback(inchworm, tmp_path):
    traffic = small_shop.write_traces(tmp_path, count=300, now=time.time())
    assert "Metrics proposed: answered" in inchworm("init", "--from", traffic.name, "--app", "small-shop")

    # what init wrote can be used as it is; then the user points it at what answers
    assert "300   stored" in inchworm("import", traffic.name)
    extra = "  soak: 0s\n  gate: false\n"
    stages = "[{weight: 50%, min_units: 50, min_bake: 0s, max_bake: 90d}]"
    small_shop.open_shop(tmp_path, stages=stages, extra=extra)
    assert "topics in 300 interactions" in inchworm("label")
    assert "main@1" in inchworm("evalset", "build")
    assert "is stable from now on" in inchworm("adopt")

    (tmp_path / "inchworm.yaml").write_text(small_shop.yaml(documents=2, stages=stages, extra=extra))
    inchworm("benchmark", "stable", "declared", "--gate", exit_code=1)
    apply = re.search(r"Apply with: inchworm (apply plan-\w+)", inchworm("plan"))
    assert apply is not None
    started = inchworm(*apply[1].split())
    assert "Undo:  inchworm rollout abort r-1" in started

    resolved = inchworm("rollout", "resolve", *(f"s{number}" for number in range(250)), "--json")
    units = json.loads(resolved)["units"]
    inchworm("import", "-", stdin=small_shop.exposed(units, harm=True, now=time.time()))
    seen = inchworm("rollout", "watch", "--once", exit_code=1)
    assert "Rolled back because answered fell by" in seen
    assert "identical" in inchworm("rollout", "replay", "r-1")
    assert "in flight   nothing" in inchworm("status")
