"""Which names a gateway goes by: its own, whatever the port; none that somebody else may have given it."""

import pytest

from inchworm.domain.hosts import configured
from inchworm.gateway.hosts import Hosts

EVIL = ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:4141", "", ":4141", None, "@"]


@pytest.mark.parametrize("bound", ["127.0.0.1", "::1", "0.0.0.0", "::", "10.1.2.3"])  # noqa: S104  # only named
def test_a_name_of_somebody_else_is_not_known_however_often_it_is_said(bound: str) -> None:
    hosts = Hosts(bound)
    for name in [*EVIL, *EVIL]:
        assert not hosts.knows(name)


@pytest.mark.parametrize("name", ["localhost", "LocalHost:1", "127.0.0.1:4141", "[::1]:4141", "10.1.2.3:80"])
def test_its_own_names_are_known_with_any_port(name: str) -> None:
    hosts = Hosts("10.1.2.3")
    assert hosts.knows(name)
    assert hosts.knows(name)


def test_other_addresses_are_known_only_where_it_listens_everywhere() -> None:
    for name in ("192.168.7.1:4141", "[2001:db8::1]:4141"):
        assert not Hosts("127.0.0.1").knows(name)
        assert Hosts("0.0.0.0").knows(name)  # noqa: S104  # only named


def test_further_names_are_those_of_the_environment() -> None:
    hosts = Hosts("127.0.0.1", configured({"INCHWORM_HOSTS": " Models.example ,,gateway"}))
    assert hosts.knows("models.example:443")
    assert hosts.knows("GATEWAY")
    assert not hosts.knows("gateway.evil.example")
