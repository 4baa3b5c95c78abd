"""Signatures of Standard Webhooks: the published vector, and secrets that are none."""

import pytest

from inchworm.app.notify.signing import headers, secret_of
from inchworm.domain.errors import UsageError


def test_the_vector_of_the_reference_libraries_is_met():
    # The example that the libraries of the specification test themselves with.
    secret = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}', secret)
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_without_a_secret_nothing_is_signed():
    assert headers("msg_1", 5, b"{}", None).keys() == {"webhook-id", "webhook-timestamp"}


@pytest.mark.parametrize(
    "text", ["", "hush", "whsec_", "whsec_aHVzaA==", "whsec_***", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
)
def test_what_is_no_secret_is_said_so_and_not_repeated(text):
    with pytest.raises(UsageError) as caught:
        secret_of(text)
    assert not text or text not in caught.value.message.replace("whsec_ and", "")
