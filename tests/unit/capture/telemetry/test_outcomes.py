"""What went wrong, as foreign clients say it, in our words."""

import pytest

from inchworm.capture.telemetry.names import finish_word
from inchworm.capture.telemetry.outcomes import of_error
from inchworm.domain.outcome import Errored, Failed, Ok


@pytest.mark.parametrize(
    ("kind", "message", "status", "outcome"),
    [
        ("openai.BadRequestError", "Error code: 400 - no", None, Failed),
        ("openai.RateLimitError", "Error code: 429 - slow down", None, Errored),
        ("anthropic.AuthenticationError", "no key", None, Errored),
        ("openai.NotFoundError", "no such model", None, Failed),
        ("openai.UnprocessableEntityError", None, None, Failed),
        ("openai.InternalServerError", "oops", None, Errored),
        ("openai.APIConnectionError", "Connection error.", None, Errored),
        ("openai.APITimeoutError", "Request timed out.", None, Failed),
        ("httpx.ConnectTimeout", "", None, Errored),
        ("timeout", None, None, Failed),
        ("400", None, None, Failed),
        ("503", None, None, Errored),
        (None, "it broke", 422, Failed),
        (None, "it broke", "500", Errored),
        (None, "litellm.BadRequestError: no", None, Failed),
        (None, "BadRequestError('Error code: 400 - no')\n\nTraceback", None, Failed),
        ("ValueError", "boom", None, Errored),
        (None, None, None, Errored),
        (None, "x" * 100_000, None, Errored),
    ],
)
def test_only_what_the_configuration_caused_is_failed(kind, message, status, outcome):
    found = of_error(kind, message, status)
    assert type(found) is outcome
    assert not isinstance(found, Ok)
    assert 0 < len(found.reason) <= 500
    assert "\n" not in found.reason


def test_status_of_error_with_an_exception(told):
    raised = {
        "exception.type": "openai.BadRequestError",
        "exception.message": "Error code: 400 - no such model",
    }
    found = told({"error.type": "x"}, status=2, message="it said", events=[("exception", raised)])
    assert found.outcome == Failed(reason="status 400: BadRequestError: Error code: 400 - no such model")
    assert found.attributes["otel.status_description"] == "it said"
    (event,) = found.attributes["otel.events"]
    assert event["name"] == "exception"
    assert event["attributes"] == raised


def test_an_exception_in_a_span_that_went_well_is_none(told):
    assert told({}, events=[("exception", {"exception.type": "ValueError"})]).outcome == Ok()


def test_error_type_and_http_status(told):
    assert told({"http.response.status_code": 404}, status=2, message="gone").outcome == Failed(
        reason="status 404: gone"
    )
    assert told({"error.type": "RateLimitError"}, status=2).outcome == Errored(
        reason="status 429: RateLimitError"
    )


def test_a_span_that_has_not_ended_has_no_outcome_yet(told):
    found = told({}, end=0)
    assert found.outcome is None
    assert found.ended_at is None
    assert found.revision == found.started_at


def test_a_timeout_that_came_from_connecting_says_nothing_of_the_configuration(told):
    raised = {
        "exception.type": "openai.APITimeoutError",
        "exception.message": "Request timed out.",
        "exception.stacktrace": "httpcore.ConnectTimeout\n\nThe above exception was the direct cause",
    }
    found = told({}, status=2, events=[("exception", raised)]).outcome
    assert isinstance(found, Errored)
    raised["exception.stacktrace"] = "httpcore.ReadTimeout\n\nThe above exception was the direct cause"
    assert isinstance(told({}, status=2, events=[("exception", raised)]).outcome, Failed)


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("tool_call", "tool_calls"),
        ("tool-calls", "tool_calls"),
        ("completed", "stop"),
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("max_output_tokens", "length"),
    ],
)
def test_why_an_answer_ended_is_said_in_openais_words_and_kept_as_it_came(told, said, word):
    found = told({"gen_ai.response.finish_reasons": [said]})
    assert (found.finish_reason, found.attributes["gen_ai.response.finish_reasons"]) == (word, [said])
    found = told({"gen_ai.completion.0.content": "x", "gen_ai.completion.0.finish_reason": said})
    assert (found.finish_reason, found.attributes["gen_ai.response.finish_reasons"]) == (word, [said])


def test_a_response_that_calls_tools_did_not_stop():
    assert finish_word("completed", calls=True) == "tool_calls"
    assert finish_word("stop", calls=True) == "stop"
    assert finish_word("something-new") == "something-new"
