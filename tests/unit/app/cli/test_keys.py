"""Keys from the command line: made, listed, revoked."""

import re
import time


def test_a_key_is_printed_alone_so_that_a_script_can_take_it(empty):
    made = empty("keys", "add", "ci", "--scope", "deployer")
    assert re.fullmatch(r"iw_[0-9a-f]{10}_[0-9a-f]{64}\n", made.stdout)
    assert "It is not shown again." in made.stderr
    listed = empty("keys")
    assert made.stdout.strip().rpartition("_")[2] not in listed.stdout
    assert re.search(r"ci +deployer +any .* by ana +never +valid", listed.stdout)


def test_a_key_ends_at_its_time_or_when_it_is_revoked(empty):
    about = empty.json("keys", "add", "ben", "--expires", "90d")["about"]
    assert abs(about["expires_at"] - about["created_at"] - 90 * 86_400) < 1
    assert about["created_at"] <= time.time()
    assert empty.json("keys", "revoke", about["id"])["revoked"] is True
    assert empty.json("keys", "revoke", about["id"])["revoked"] is False
    assert "revoked" in empty("keys", "ls").stdout
    actions = [entry.action for entry in _audit(empty)]
    assert actions == ["key.revoke", "key.add"]


def _audit(cli):
    from inchworm.app.config.load import load
    from inchworm.app.house import House

    with House(spec=load(cli.folder / "inchworm.yaml")) as house:
        return house.control.audit(house.app)


def test_wrong_keys_are_refused_with_what_to_do(empty):
    assert "no duration" in empty("keys", "add", "x", "--expires", "soon", exit_code=2).stderr
    assert "leave its end out" in empty("keys", "add", "x", "--expires", f"{10**15}w", exit_code=2).stderr
    assert "needs a name" in empty("keys", "add", "  ", exit_code=2).stderr
    assert "inchworm keys ls" in empty("keys", "revoke", "nope", exit_code=2).stderr
    assert "inchworm keys add" in empty("keys").stdout


def test_pages_are_opened_only_where_a_server_runs(empty):
    assert "start one: inchworm serve" in empty("open", exit_code=2).stderr


def test_a_key_that_only_sends_may_be_bound_to_an_app(empty):
    made = empty("keys", "add", "checkout", "--scope", "ingest", "--app", "shop")
    assert "ingest for shop/production" in made.stderr
    about = empty.json("keys", "add", "search", "--scope", "ingest", "--app", "search/staging")["about"]
    assert (about["scope"], about["app"]) == ("ingest", "search/staging")
    assert "search/staging" in empty("keys").stdout
    assert "names no app" in empty("keys", "add", "x", "--app", "a/b/c", exit_code=2).stderr
    assert "for search/staging" in _audit(empty)[0].because
