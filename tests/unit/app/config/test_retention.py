"""How long things are kept, as inchworm.yaml says it."""

import pytest
from tests.unit.app.loop.world import YAML

from inchworm.app.config.load import load
from inchworm.app.config.retention import Retention
from inchworm.domain.errors import ConfigError


def read(tmp_path, said):
    path = tmp_path / "inchworm.yaml"
    path.write_text(YAML.format(gate_margin_factor=1, extra=said))
    return load(path).retention


def test_what_is_left_out_is_kept(tmp_path):
    assert read(tmp_path, "") == Retention()
    assert not read(tmp_path, "").is_set
    found = read(tmp_path, "retention: {payloads: 30d, quarantine: 1h}\n")
    assert found == Retention(payloads_s=30 * 86_400.0, quarantine_s=3_600.0)
    assert found.is_set


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("retention: {payloads: 30m}\n", "retention.payloads is less than 1h"),
        ("retention: {payloads: 30d, traces: 7d}\n", "retention.payloads is longer than traces"),
        ("retention: {payloads: soon}\n", "retention.payloads"),
        ("retention: {scores: 1d}\n", "retention"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, said, wrong):
    with pytest.raises(ConfigError, match=wrong):
        read(tmp_path, said)
