"""Log lines: one shape, short on a terminal, and no text of exceptions that nobody foresaw."""

import io
import json
import logging

import pytest

from inchworm.app.serve.logs import JsonLines, Readable, ShortLines, traced
from inchworm.gateway.logs import Log

SAID = "ann.example@mailhost.net"


def raised():
    """An error that repeats what somebody said, and that another led to."""
    try:
        try:
            float(SAID)
        except ValueError as error:
            raise KeyError(SAID) from error
    except KeyError as error:
        return error


@pytest.fixture
def record():
    error = raised()
    return logging.LogRecord("x", logging.ERROR, __file__, 1, "it failed\n", (), (type(error), error, None))


@pytest.mark.parametrize("form", [JsonLines("server"), ShortLines("server")])
def test_an_unforeseen_error_is_told_by_place_and_kind_and_not_by_its_text(form, record, monkeypatch):
    monkeypatch.delenv("INCHWORM_DEBUG", raising=False)
    line = form.format(record)
    assert "KeyError" in line
    assert "ValueError" in line
    assert "in raised" in line
    assert SAID not in line
    monkeypatch.setenv("INCHWORM_DEBUG", "1")
    assert SAID in form.format(record)


def test_without_an_error_nothing_is_traced():
    assert traced(None) == ""


def test_server_and_gateway_write_lines_of_one_shape(record):
    written = io.StringIO()
    Log(written, clock=lambda: 1.25).warn("server_unreachable", why="refused", part="forged", level="info")
    gateway, server = json.loads(written.getvalue()), json.loads(JsonLines("server").format(record))
    assert list(gateway)[:4] == list(server)[:4] == ["time", "level", "part", "event"]
    assert (gateway["part"], gateway["level"]) == ("gateway", "warning")
    assert server["event"] == "it failed"


def test_on_a_terminal_a_line_of_the_gateway_is_short():
    target = io.TextIOWrapper(io.BytesIO())
    shown = Readable(target, "gateway")
    Log(shown, clock=lambda: 0.0).info("serving", version="v1")
    shown.flush()
    assert target.buffer.getvalue().decode().endswith("gateway: serving version=v1\n")
