"""Tests of other people's clients: their page names what is installed, and CI skips none of them."""

import json
import re
from pathlib import Path

import pytest
from tests.clients.running import missing

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / "tests" / "clients"


def test_the_page_names_the_pinned_versions():
    page = (ROOT / "docs" / "clients-tested.md").read_text("utf-8")
    said = {
        version
        for row in re.findall(r"^\| .+? \| (.+?) \|", page, re.MULTILINE)
        for version in row.split(", ")
    }
    python = dict(
        re.findall(r"^([a-z0-9-]+)==(\S+)", _text(ROOT / "requirements" / "clients.txt"), re.MULTILINE)
    )
    node = json.loads(_text(CLIENTS / "node" / "package.json"))["dependencies"]
    large = json.loads(_text(CLIENTS / "promptfoo" / "package.json"))["dependencies"]
    pinned = {
        *(python[name] for name in ("openai", "anthropic", "pydantic-ai-slim", "langfuse", "langsmith")),
        *(python[f"opentelemetry-instrumentation-{name}"] for name in ("genai-openai", "openai")),
        python["openinference-instrumentation-openai"],
        *(node[name] for name in ("openai", "ai", "@langfuse/otel", "@langfuse/tracing", "langfuse")),
        *(node[name] for name in ("@openfeature/server-sdk", "@openfeature/ofrep-provider")),
        large["promptfoo"],
    }
    assert said - {"version", "---"} == pinned


def test_what_is_not_installed_skips_for_people_and_fails_in_ci(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="make clients"):
        missing("node is not there")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="make clients"):
        missing("node is not there")


def _text(path: Path) -> str:
    return path.read_text("utf-8")
