"""promptfoo asks the gateway as an OpenAI provider. Installed apart (``make promptfoo``): it is large."""

import json
import subprocess

import pytest
from tests.clients.answers import TEXT, TOKENS_IN, TOKENS_OUT
from tests.clients.running import HERE, TEMPERATURES, World

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]
FOLDER = HERE / "promptfoo"
MAIN = FOLDER / "node_modules" / "promptfoo" / "dist" / "src" / "main.js"
QUIET = {
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "PROMPTFOO_DISABLE_UPDATE": "1",
    "PROMPTFOO_DISABLE_REMOTE_GENERATION": "true",
}


@pytest.mark.skipif(not MAIN.exists(), reason="promptfoo is not installed: make promptfoo (270 MB)")
def test_an_evaluation_runs_through_the_gateway_and_is_recorded(world: World, tmp_path):
    out = tmp_path / "out.json"
    options = ["--no-cache", "--no-progress-bar", "--no-table", "-c", "promptfooconfig.yaml", "-o", str(out)]
    run = subprocess.run(
        ["node", str(MAIN), "eval", *options],
        cwd=FOLDER,
        env={**world.environment, **QUIET, "PROMPTFOO_CONFIG_DIR": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert out.exists(), run.stdout + run.stderr
    results = json.loads(out.read_text("utf-8"))["results"]
    assert (results["stats"]["successes"], results["stats"]["failures"]) == (1, 1)
    assert {one["response"]["output"] for one in results["results"]} == {TEXT}
    for question in ("When does it come?", "Does it come on Friday?"):
        [asked] = world.provider.about(f"pf {question}")
        assert asked.headers["authorization"] == "Bearer sk-of-the-provider"
        found = world.saying(f"Answer briefly: pf {question}")
        assert found["output"] == TEXT
        assert found["usage"]["input_tokens"] + found["usage"]["output_tokens"] == TOKENS_IN + TOKENS_OUT
        assert asked.body["temperature"] == TEMPERATURES[found["arm"]]
