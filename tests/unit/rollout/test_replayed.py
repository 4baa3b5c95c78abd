"""benchmarks/replayed.py on made-up recordings of the same shape; the real ones are not shipped."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inchworm.domain.rollout import RolloutState

FILE = Path(__file__).resolve().parents[3] / "benchmarks" / "replayed.py"


@pytest.fixture(scope="module")
def replayed():
    spec = importlib.util.spec_from_file_location("replayed", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["replayed"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["replayed"]


@pytest.fixture
def folder(tmp_path):
    """Three models on forty prompts, one of them missing one; an hour with a request every ten seconds."""
    annotations, traffic = tmp_path / "alpaca_eval", tmp_path / "azure_llm"
    annotations.mkdir()
    traffic.mkdir()
    for model, good in (("claude-2.1", 30), ("claude-2.1_concise", 20), ("alpaca-7b", 4)):
        rows = [
            {
                "instruction": f"prompt {i}",
                "dataset": "made_up",
                "generator_1": "gpt4_1106_preview",
                "generator_2": model,
                "preference": None if (model, i) == ("alpaca-7b", 39) else 1.9 if i < good else 1.0000001,
            }
            for i in range(40)
        ]
        (annotations / f"{model}.annotations.json").write_text(json.dumps(rows), "utf-8")
    lines = [f"2023-11-16 18:{i // 6:02}:{i % 6}5.6805900,374,44" for i in range(360)]
    head = "TIMESTAMP,ContextTokens,GeneratedTokens"
    # Out of order, as merged logs are.
    (traffic / "conv.csv").write_text("\n".join([head, *lines[::-1]]) + "\n", "utf-8")
    return tmp_path


def test_outcomes_are_those_of_the_prompts_that_all_have(replayed, folder):
    recorded = replayed.load(folder)
    assert {model: one.size for model, one in recorded.outcomes.items()} == dict.fromkeys(
        ("claude-2.1", "claude-2.1_concise", "alpaca-7b"), 39
    )
    assert recorded.outcomes["alpaca-7b"].sum() == pytest.approx(4 * 0.9, abs=1e-4)
    assert recorded.arrivals[0] == 0.0
    assert np.allclose(np.diff(recorded.arrivals), 10.0)
    assert recorded.arrivals.size == 360


def test_a_harm_is_rolled_back_and_no_change_is_not(replayed, folder):
    recorded = replayed.load(folder)
    policy = replayed.POLICIES["50 %"]
    worse = replayed.replay(recorded, "alpaca-7b", policy, 1)
    assert worse.state is RolloutState.ROLLED_BACK
    assert worse.candidates < worse.units <= 360
    assert worse == replayed.replay(recorded, "alpaca-7b", policy, 1)
    same = replayed.replay(recorded, "claude-2.1", policy, 1)
    assert same.state is not RolloutState.ROLLED_BACK
    assert same.units > worse.units
    paired = replayed.shadowed(recorded, "alpaca-7b", 5, 1)
    assert paired["harm_found"] == 1.0


def test_a_preference_that_is_none_is_left_out_and_one_out_of_range_refused(replayed, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"instruction": "a", "preference": 2.5}]), "utf-8")
    with pytest.raises(ValueError, match="between 1 and 2"):
        replayed.preferences(path)


def test_without_the_recordings_it_says_so_and_is_no_failure(tmp_path):
    done = subprocess.run(
        [sys.executable, str(FILE), "--data", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "not shipped" in done.stdout
