"""That the guard in ``conftest.py`` stands: a test reaches this machine and no other."""

import socket

import pytest


def test_another_machine_is_out_of_reach():
    # UDP: even unguarded, connecting would send nothing.
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere,
        pytest.raises(pytest.fail.Exception, match=r"192\.0\.2\.1"),
    ):
        elsewhere.connect(("192.0.2.1", 9))


def test_this_machine_is_not():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert client.getpeername() == server.getsockname()
