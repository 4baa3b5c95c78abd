"""Who stands between server and gateway can send again what the server once said, and gains nothing by it."""

from tests.integration.gateway.conftest import Gateway, World, eventually
from tests.integration.gateway.test_rollout import ask, two

from inchworm.domain.published import WITNESS, version, witness


def refusals(gateway: Gateway) -> int:
    return sum("witness" in one.get("why", "") for one in gateway.events())


def test_an_old_document_sent_again_is_not_served(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=1.0))
    old = world.control.document
    said = world.control.witness("0" * 32, version(old))  # what was seen on the wire once
    gateway = world.gateway()
    assert ask(gateway, "u-1").json["model"] == "small-2"
    rolled_back = world.control.publish(world.served(stable, generation=2))
    gateway.holds(rolled_back)
    head = f"HTTP/1.1 200 OK\r\n{WITNESS}: {said}\r\ncontent-length: {len(old)}\r\n\r\n"
    world.control.forge(head.encode() + old)
    eventually(lambda: refusals(gateway))
    assert gateway.ask("/-/ready").json["holds"] == rolled_back
    assert ask(gateway, "u-1").json["model"] == "small-1"
    # The server itself may go back, as after a restored backup: it is its word that counts, not a number.
    world.control.forge(b"")
    gateway.holds(world.control.publish(world.served(stable, candidate, weight=1.0)))
    assert ask(gateway, "u-2").json["model"] == "small-2"


def test_a_nothing_new_sent_again_does_not_pass_for_the_server_s_word(world: World) -> None:
    stable, _ = two(world)
    name = world.control.publish(world.served(stable))
    gateway = world.gateway()
    said = world.control.witness("0" * 32, name)
    confirmed = gateway.ask("/-/ready").json["confirmed_at"]
    world.control.forge(f"HTTP/1.1 304 Not Modified\r\n{WITNESS}: {said}\r\n\r\n".encode())
    eventually(lambda: refusals(gateway))
    world.control.forge(b"HTTP/1.1 304 Not Modified\r\n\r\n")
    seen = len(world.control.seen)
    eventually(lambda: len(world.control.seen) > seen + 1)
    # It goes on serving, and as nobody confirms it, units will be kept from candidates before long.
    assert gateway.ask("/-/ready").json["confirmed_at"] == confirmed
    assert ask(gateway, "u-1").status == 200
    world.control.forge(b"")
    eventually(lambda: gateway.ask("/-/ready").json["confirmed_at"] > confirmed)


def test_the_witness_is_pinned() -> None:
    pinned = "f96b6148c28f3c07a56216a3b5264f21fce99dd47452891cb77506e7e0f6e813"
    assert WITNESS == "inchworm-witness"
    assert witness(bytes(32), "00ff", "abc") == pinned
    assert len({witness(bytes(32), nonce, name) for nonce in "ab" for name in "ab"} | {pinned}) == 5
    assert witness(b"1" * 32, "00ff", "abc") != pinned
