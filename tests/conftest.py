"""What holds for every test: the same examples each time, and no network but this machine's."""

import os
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Deterministic, and with no limit on time: a slow machine is not a bug. To hunt for new counterexamples:
# HYPOTHESIS_PROFILE=explore make test
settings.register_profile(
    "inchworm",
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", settings.get_profile("inchworm"), derandomize=False, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "inchworm"))

_LOCAL = ("127.", "::1", "localhost", "0.0.0.0")  # noqa: S104 - an address to compare with, bound nowhere


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that leaves this machine fails, and says where it wanted to go."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not str(address[0]).startswith(_LOCAL):
            pytest.fail(f"the test wanted to connect to {address[0]}:{address[1]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
