"""One server for all clients: it has a rollout in flight, so that arms, layers and tokens take part."""

from collections.abc import Iterator

import pytest
from tests.clients.provider import provider
from tests.clients.running import World, declare, inchworm
from tests.integration.serve.running import serve, until


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("clients")
    with provider() as asked:
        declare(folder, asked)
        key, viewer = (
            inchworm(folder, "keys", "add", scope, "--scope", scope)["key"] for scope in ("ingest", "viewer")
        )
        with serve(folder, f"{asked.url}/v1") as served:
            until(lambda: served.get("/api/v1/rollouts")[1]["rollouts"][0]["state"] == "exposing")
            yield World(served, asked, key, viewer)
