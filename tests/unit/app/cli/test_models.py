"""``inchworm models``, and what status says of models that are switched off."""

from tests.unit.app.cli import small_shop
from tests.unit.app.cli.conftest import QUICK, UNGATED
from tests.unit.app.cli.test_commands import check

OWN = (
    "models: [{name: tiny, provider: ours, output_tokens: 9000, retires_on: 2020-01-01, replaced_by: next}]\n"
)


def declare_own(shop):
    text = small_shop.yaml(stages=QUICK, extra=UNGATED) + OWN
    (shop.folder / "inchworm.yaml").write_text(text, "utf-8")


def test_all_models_are_listed_as_text_and_as_json(empty):
    data = empty.json("models")
    check("models", data)
    names = [one["name"] for one in data["models"]]
    assert "gpt-4o" in names
    text = empty("models").stdout
    assert all(name in text for name in names)


def test_one_model_is_told_with_its_sources(empty):
    (one,) = empty.json("models", "gpt-4o-2024-08-06")["models"]
    assert one["name"] == "gpt-4o"
    assert one["sources"]
    text = empty("models", "gpt-4o").stdout
    assert one["sources"][0] in text
    assert one["checked"] in text


def test_a_model_that_is_not_known_is_an_error_that_says_how_to_add_it(empty):
    error = empty("models", "house-1", exit_code=2).stderr
    assert "nothing is known of a model house-1" in error
    assert "models: in inchworm.yaml" in error


def test_models_of_one_s_own_are_listed_and_marked(empty):
    declare_own(empty)
    assert "tiny (yours)" in empty("models").stdout
    (one,) = empty.json("models", "tiny")["models"]
    assert (one["own"], one["output_tokens"]) == (True, 9000)


def test_status_warns_of_a_model_that_is_retired(shop):
    assert shop.json("status")["notices"] == []
    declare_own(shop)
    (notice,) = shop.json("status")["notices"]
    assert (notice["level"], notice["model"], notice["retires_on"]) == ("warning", "tiny", "2020-01-01")
    assert notice["where"] == ["stable", "inchworm.yaml"]
    said = " ".join(shop("status").stdout.split())
    assert notice["text"] in said
