"""Notifications through a running ``inchworm serve``: what commands decide there is told from there."""

import json
import os
import subprocess
import sys

import pytest
from tests.integration.notify.receiver import SECRET, WHSEC, Receiver
from tests.integration.serve.running import serve, until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("serve")]
YAML = """\
app: shop/production
layers:
  model: {{name: tiny}}
  parameters: {{max_tokens: {max_tokens}}}
metrics:
  brief: {{check: {{max_words: 50}}, goal: true}}
rollout:
  approvals: {{count: 1, before: [start]}}
  gate: false
notify:
  - {{url: env:HOOK, secret: env:HOOK_SECRET}}
"""


@pytest.fixture
def receiver(monkeypatch):
    with Receiver() as made:
        monkeypatch.setenv("HOOK", made.url)
        monkeypatch.setenv("HOOK_SECRET", WHSEC)
        yield made


def test_what_waits_for_approval_reaches_people_signed_and_no_secret_is_kept(tmp_path, receiver):
    file = tmp_path / "inchworm.yaml"

    def inchworm(*words):
        done = subprocess.run(
            [sys.executable, "-m", "inchworm.app.cli", "--actor", "ana", *words, "--json"],
            cwd=tmp_path,
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    file.write_text(YAML.format(max_tokens=64))
    inchworm("adopt")
    with serve(tmp_path, receiver.url) as served:
        file.write_text(YAML.format(max_tokens=32))
        inchworm("apply", inchworm("plan")["plan"]["id"])
        got = until(lambda: receiver.got[:1])[0]
        assert got.signed_by(SECRET)
        assert got.json["type"] == "rollout.hold"
        assert "it has no approval yet for 5 %; awaited from anybody but ana" in got.json["data"]["sentence"]
        assert got.json["data"]["links"]["rollout"].startswith(served.said["url"])
        # Whoever asks over the wire sees the same, and sends a test from where they are.
        told = until(lambda: inchworm("notify", "ls", "--all")["notifications"])
        assert [(one["event"], one["state"]) for one in told] == [("hold", "sent")]
        assert inchworm("notify", "test")["attempts"][0]["taken"]
        assert receiver.got[-1].json["type"] == "inchworm.test"
        assert inchworm("audit", "verify")["breaks"] == []
        logged = served.stderr()
    kept = [one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()]
    for secret in (WHSEC, receiver.url):
        assert secret not in logged
        assert all(secret.encode() not in one for one in kept)
