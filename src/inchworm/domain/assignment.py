"""Which arm a unit gets: a salted hash, 10,000 buckets, and a token that keeps the answer.

Pinned by golden vectors: a rollout keeps its ``hash_version`` for life.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import xxhash

from inchworm.domain.errors import InputError
from inchworm.domain.ids import RolloutId
from inchworm.domain.trace import Arm, Assignment

BUCKETS = 10_000
"""Weights are served in steps of 0.01 %."""
HASHES: Mapping[str, int] = {"xxh3": 1, "growthbook": 2}
"""Hash versions by the names that ``inchworm.yaml`` has for them."""
_FNV_OFFSET, _FNV_PRIME, _U32 = 0x811C9DC5, 0x01000193, 0xFFFFFFFF
_HOLDOUT_HASH = 1  # for good: another one would hold out other people
_TOKEN_VERSION = "t1"  # noqa: S105  # a format tag, not a secret


def bucket(hash_version: int, salt: str, value: str) -> int:
    """The bucket of ``value``, 0 to 9,999.

    Version 1 is xxh3_64 of ``salt``, a zero byte and ``value``, modulo 10,000. Version 2 is
    GrowthBook's hash version 2, ``fnv1a32(str(fnv1a32(seed + value))) % 10000``, for parity with
    OpenFeature users of it. Both read text as UTF-8.

    Raises:
        ValueError: for any other version.
    """
    return bucketing(hash_version, salt)(value)


def bucketing(hash_version: int, salt: str) -> Callable[[str], int]:
    """:func:`bucket` for many values of one salt.

    Raises:
        ValueError: for a version that does not exist.
    """
    if hash_version == 1:
        start, digest = f"{salt}\0".encode(), xxhash.xxh3_64_intdigest
        return lambda value: digest(start + value.encode()) % BUCKETS
    if hash_version == 2:  # the second version
        return lambda value: _fnv1a32(str(_fnv1a32(salt + value))) % BUCKETS
    msg = f"there is no hash version {hash_version}; known are 1 (xxh3_64) and 2 (GrowthBook v2)"
    raise ValueError(msg)


def _fnv1a32(text: str) -> int:
    state = _FNV_OFFSET
    for byte in text.encode():
        state = ((state ^ byte) * _FNV_PRIME) & _U32
    return state


def buckets(share: float) -> int:
    """How many buckets a share in [0, 1] is."""
    return round(share * BUCKETS)


def served_weight(weight: float) -> float:
    """The probability that a weight really means, in whole buckets: this is the recorded π."""
    return buckets(weight) / BUCKETS


def arm_of(hash_version: int, salt: str, value: str, weight: float) -> Arm:
    """The arm of a unit at first exposure under ``weight``, the candidate's share in [0, 1]."""
    inside = bucket(hash_version, salt, value) < buckets(weight)
    return Arm.CANDIDATE if inside else Arm.BASELINE


def stage_salt(salt: str, stage: int) -> str:
    """The salt of one stage, where units are drawn anew at each (unit ``user``)."""
    return f"{salt}/{stage}"


def is_judged(hash_version: int, salt: str, unit: str, rate: float) -> bool:
    """Whether the outcomes of a unit are judged, of an arm that is judged at ``rate`` in [0, 1].

    Fixed when the unit is assigned, for it rests on nothing that came after: on the salt and the unit's id as
    the store has it. The draw has a salt of its own, so it says nothing of the arm. A unit that is judged at
    one rate is judged at every higher one.
    """
    return bucket(hash_version, f"{salt}/judged", unit) < buckets(rate)


def is_mirrored(hash_version: int, salt: str, unit: str, share: float) -> bool:
    """Whether a unit's calls are mirrored to the candidate, at a ``share`` in [0, 1] of the units."""
    return bucket(hash_version, f"{salt}/shadow", unit) < buckets(share)


def held_out(app: str, unit: str, share: float) -> bool:
    """Whether no rollout of the app exposes a unit: the same ``share`` of people each time.

    No rollout's salt or hash version plays a part in it. Who is held out at one share is so at a larger one.

    Args:
        app: ``NAME/ENVIRONMENT``.
        unit: the unit's id, as the request names it.
        share: in [0, 1].
    """
    return bucket(_HOLDOUT_HASH, f"holdout/{app}", unit) < buckets(share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a client carries so that an open conversation keeps its arm when a stage grows."""

    unit_id: str
    assignment: Assignment

    def sign(self, key: bytes) -> str:
        """``t1.PAYLOAD.MAC``: URL-safe base64, HMAC-SHA-256 over version and payload (RFC 2104)."""
        assignment = self.assignment
        fields = (
            assignment.rollout_id,
            str(assignment.stage),
            assignment.arm.value,
            repr(assignment.probability),
            self.unit_id,
        )
        payload = _b64("\n".join(fields).encode())
        return f"{_TOKEN_VERSION}.{payload}.{_mac(key, payload)}"

    @classmethod
    def read(cls, key: bytes, text: str) -> Token:
        """Verify and read a signed token.

        Raises:
            InputError: if it is malformed, of another version, or signed with another key.
        """
        version, _, rest = text.partition(".")
        payload, _, mac = rest.partition(".")
        if version != _TOKEN_VERSION or not hmac.compare_digest(mac, _mac(key, payload)):
            msg = "the assignment token was not signed by this installation"
            raise InputError(msg, hint="drop the token; the unit is assigned anew")
        padded = payload + "=" * (-len(payload) % 4)
        rollout, stage, arm, probability, unit = urlsafe_b64decode(padded).decode().split("\n", 4)
        return cls(
            unit_id=unit,
            assignment=Assignment(
                rollout_id=RolloutId(rollout), stage=int(stage), arm=Arm(arm), probability=float(probability)
            ),
        )


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _mac(key: bytes, payload: str) -> str:
    return _b64(hmac.digest(key, f"{_TOKEN_VERSION}.{payload}".encode(), hashlib.sha256))
