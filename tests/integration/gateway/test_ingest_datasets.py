"""Datasets of Langfuse's clients are asked of the server: by the gateway, or with the caller's own key."""

import asyncio
import json
from urllib.parse import parse_qs

import pytest
from tests.integration.gateway.conftest import Gateway, World
from tests.integration.gateway.upstream_mock import Request, answer

ITEM = {"id": "case-1", "mediaReferences": []}


@pytest.fixture
def asked(world: World) -> list[Request]:
    """What the server was asked beside news; it knows one dataset."""
    seen: list[Request] = []
    control = world.control
    news = control.handle

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        if not request.path.startswith("/api/v1/datasets/"):
            await news(request, writer)
            return
        seen.append(request)
        if "/main" not in request.path:
            answer(writer, 404, json.dumps({"error": {"message": "there is none"}}).encode())
        elif request.path.endswith("/items"):
            page = int(parse_qs(request.query)["page"][0])
            meta = {"page": page, "limit": 5, "totalItems": 6, "totalPages": 2}
            answer(writer, 200, json.dumps({"version": 1, "data": [ITEM], "meta": meta}).encode())
        else:
            answer(writer, 200, json.dumps({"version": 1, "dataset": {"name": "main"}}).encode())
        await writer.drain()

    control.handle = handle  # type: ignore[method-assign]
    control.publish(world.observed())
    return seen


@pytest.fixture
def gateway(world: World, asked: list[Request]) -> Gateway:
    del asked
    return world.gateway()


def test_a_dataset_and_its_items_come_from_the_server(
    world: World, gateway: Gateway, asked: list[Request]
) -> None:
    assert gateway.ask("/api/public/v2/datasets/main").json == {"name": "main"}
    got = gateway.ask("/api/public/dataset-items?datasetName=main&page=2&limit=5").json
    assert (got["data"], got["meta"]["page"]) == ([ITEM], 2)
    assert {one.headers["authorization"] for one in asked} == {f"Bearer {world.control.bearer}"}


def test_what_the_server_refuses_is_said_to_the_caller(gateway: Gateway) -> None:
    got = gateway.ask("/api/public/v2/datasets/nothing")
    assert (got.status, got.json["message"]) == (404, "there is none")
    for bad in (
        "datasetName=main&page=0",
        "datasetName=main&limit=x",
        "page=1",
        "datasetName=main&limit=99999",
    ):
        assert gateway.ask(f"/api/public/dataset-items?{bad}").status == 400


def test_without_a_server_the_caller_is_asked_to_come_again(world: World, gateway: Gateway) -> None:
    world.control.stop()
    got = gateway.ask("/api/public/v2/datasets/main")
    assert (got.status, got.headers["retry-after"]) == (503, "1")
    world.control = world.control.again()  # for the end of the test
