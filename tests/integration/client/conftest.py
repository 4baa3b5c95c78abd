"""Stubs and clients that are gone after the test."""

import pytest
from tests.integration.client.stub import Stub

from inchworm.capture.client import Client
from inchworm.capture.client.core import LAST, OPEN


@pytest.fixture(autouse=True)
def _a_context_of_its_own():
    yield
    OPEN.set(None)
    LAST.set(None)


@pytest.fixture
def stub():
    made = []

    def make(*args, **options):
        made.append(Stub(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def client(_a_context_of_its_own):
    made = []

    def make(url, **options):
        made.append(Client(url, **{"app": "shop", **options}))
        return made[-1]

    yield make
    for one in made:
        one.close(0.1)
