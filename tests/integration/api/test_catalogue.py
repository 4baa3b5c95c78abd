"""What is known of models, over HTTP: the same as the command says."""

import json


def test_all_models_and_one_of_them(looking):
    every = looking.get("/models")["models"]
    one = looking.get("/models/gpt-4o-2024-08-06")["model"]
    assert one in every
    assert one["name"] == "gpt-4o"
    assert one["sources"]


def test_a_name_with_a_slash_is_a_name(looking):
    name = "meta-llama/Llama-3.1-8B-Instruct"
    assert name in looking.get(f"/models/{name}")["model"]["also"]


def test_a_model_that_is_not_known_is_a_404_with_a_hint(looking):
    answer = looking("GET", "/api/v1/models/house-1")
    assert answer.status == 404
    assert "nothing is known of a model house-1" in json.dumps(answer.json())


def test_status_holds_the_notices(looking):
    assert looking.get("/status")["notices"] == []
