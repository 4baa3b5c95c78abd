"""A folder without inchworm.yaml."""

from pathlib import Path

import pytest

from inchworm.app.config.observed import app_name, observed
from inchworm.domain.layers import Layer


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("shop-support", "shop-support"),
        ("Shop Support (2)", "shop-support-2"),
        ("Läden", "laden"),
        ("店", "app"),
        ("---", "app"),
        ("a/b.c", "b-c"),
        ("x" * 99, "x" * 60),
    ],
)
def test_an_app_is_called_like_its_folder(tmp_path, folder, name):
    assert app_name(tmp_path / folder) == name


@pytest.mark.parametrize(
    ("said", "used"),
    [
        ("", None),
        ("http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1"),
        ("https://models.example/v1", "https://models.example/v1"),
        ("http://127.0.0.1:4141/v1", None),
        ("http://localhost:4141/v1", None),
        ("http://[::1]:4140/v1", None),
        ("http://models.example:4141/v1", "http://models.example:4141/v1"),
        ("models.example", None),
        ("http://h:99999/v1", None),
    ],
)
def test_calls_go_where_the_environment_says_unless_that_is_here(tmp_path, said, used):
    spec = observed(tmp_path / "inchworm.yaml", environment={"OPENAI_BASE_URL": said}, own_ports=(4140, 4141))
    assert spec.configuration.layer(Layer.INFRASTRUCTURE).get("base_url") == used


def test_it_has_no_metrics_and_its_data_beside_it(tmp_path):
    spec = observed(tmp_path / "inchworm.yaml", environment={})
    assert (spec.metrics, spec.data, spec.app.environment) == ((), tmp_path / ".inchworm", "production")
    assert spec.file == Path(tmp_path / "inchworm.yaml")
