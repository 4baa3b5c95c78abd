"""The serving table: the one row per app that every gateway and client obeys.

Rolling back is writing this row without a candidate. Its canonical form is pinned by golden vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inchworm.domain.assignment import (
    bucketing,
    buckets,
    held_out,
    is_mirrored,
    served_weight,
    stage_salt,
)
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import ConfigurationId, RolloutId, UnitId
from inchworm.domain.targeting import UNIT, Condition, takes_part
from inchworm.domain.trace import Arm, Assignment

FORMAT = "serving/1"
"""The form of a table that everything reads."""
TARGETED = "serving/2"
"""The form of a table whose candidate is for some only, is mirrored, or is drawn anew at each stage: a reader
that knows only the first form would expose people who are not meant, so it must refuse it."""
NO_ATTRIBUTES: Mapping[str, str] = {}
_TARGETED = ("per_stage", "audience", "holdout", "shadow", "shadow_calls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The configuration that is being exposed, and how.

    Which units are judged is not said here: it is drawn from salt and unit alone where the outcomes are
    (:func:`inchworm.domain.assignment.is_judged`), and nobody who serves has to know.

    Attributes:
        rollout_id: the rollout that exposes it.
        configuration_id: what the candidate arm gets.
        stage: 0-based stage.
        weight: share of the traffic in [0, 1].
        salt: fresh per rollout, so that the same people are not always the canary.
        hash_version: see :func:`inchworm.domain.assignment.bucket`.
        per_stage: whether an arm is drawn anew at each stage, and kept only within it (unit ``user``).
        audience: who takes part; everybody if empty. Others get stable, without an assignment.
        holdout: share of the units in [0, 1] that no rollout of the app exposes.
        shadow: share of the units in [0, 1] whose first call is mirrored; then nobody is exposed.
        shadow_calls: how many calls are mirrored at most; ``None`` for no limit of the stage's own.
    """

    rollout_id: RolloutId
    configuration_id: ConfigurationId
    stage: int
    weight: float
    salt: str
    hash_version: int
    per_stage: bool = False
    audience: tuple[Condition, ...] = ()
    holdout: float = 0.0
    shadow: float = 0.0
    shadow_calls: int | None = None

    def holds(self, kept: Assignment) -> bool:
        """Whether what a unit got before still counts: in this rollout, and in this draw."""
        return kept.rollout_id == self.rollout_id and (not self.per_stage or kept.stage == self.stage)

    @property
    def plain(self) -> bool:
        """Whether it can be said in the first form: everybody takes part, and keeps the arm to the end."""
        return not (self.per_stage or self.audience or self.holdout or self.shadow)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingTable:
    """What is served for one app.

    Attributes:
        app: where.
        generation: counts up with every change of this row; written by compare-and-set.
        stable: where a rollback lands.
        candidate: what is being exposed, if anything is.
    """

    app: AppRef
    generation: int
    stable: ConfigurationId
    candidate: Candidate | None = None

    def content(self) -> dict[str, Any]:
        """The JSON form: version ``serving/1``, or ``serving/2`` if the candidate needs it."""
        candidate = self.candidate
        return {
            "format": FORMAT if candidate is None or candidate.plain else TARGETED,
            "app": str(self.app),
            "generation": self.generation,
            "stable": self.stable,
            "candidate": None if candidate is None else _row(candidate),
        }

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> ServingTable:
        """The inverse of :meth:`content`.

        Raises:
            ValueError: for another format version, or a member that its version must have and it lacks.
        """
        if (said := content.get("format")) not in {FORMAT, TARGETED}:
            msg = f"serving table has format {said!r}, this version reads {FORMAT} and {TARGETED}"
            raise ValueError(msg)
        row = content["candidate"]
        return cls(
            app=AppRef.parse(content["app"]),
            generation=content["generation"],
            stable=ConfigurationId(content["stable"]),
            candidate=None if row is None else _candidate(row, targeted=content["format"] == TARGETED),
        )


def _row(candidate: Candidate) -> dict[str, Any]:
    row: dict[str, Any] = {
        "rollout": candidate.rollout_id,
        "configuration": candidate.configuration_id,
        "stage": candidate.stage,
        "weight": candidate.weight,
        "salt": candidate.salt,
        "hash_version": candidate.hash_version,
    }
    if not candidate.plain:
        row |= {
            "per_stage": candidate.per_stage,
            "audience": [[one.attribute, list(one.values)] for one in candidate.audience],
            "holdout": candidate.holdout,
            "shadow": candidate.shadow,
            "shadow_calls": candidate.shadow_calls,
        }
    return row


def _candidate(row: Mapping[str, Any], *, targeted: bool) -> Candidate:
    further: dict[str, Any] = {}
    if targeted:
        if missing := [name for name in _TARGETED if name not in row]:
            msg = f"serving table has format {TARGETED!r} without {missing[0]!r}, which is more than {FORMAT}"
            raise ValueError(msg)
        further = {
            "per_stage": row["per_stage"],
            "audience": tuple(
                Condition(attribute=attribute, values=tuple(values)) for attribute, values in row["audience"]
            ),
            "holdout": row["holdout"],
            "shadow": row["shadow"],
            "shadow_calls": row["shadow_calls"],
        }
    return Candidate(
        rollout_id=RolloutId(row["rollout"]),
        configuration_id=ConfigurationId(row["configuration"]),
        stage=row["stage"],
        weight=row["weight"],
        salt=row["salt"],
        hash_version=row["hash_version"],
        **further,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What one unit gets: a configuration and, during a rollout, the assignment to record.

    Attributes:
        configuration_id: what answers.
        assignment: its place in the rollout; ``None`` for who takes no part.
        mirrored: whether the candidate answers the same input beside it, for nobody to see.
    """

    configuration_id: ConfigurationId
    assignment: Assignment | None
    mirrored: bool = False


class Resolver:
    """One table, ready to answer for many units; what it says is shared between them.

    Args:
        table: what is served.
    """

    __slots__ = (
        "_app",
        "_baseline",
        "_bucket",
        "_candidate",
        "_exposed",
        "_mirrored",
        "_stable",
        "_threshold",
    )

    def __init__(self, table: ServingTable) -> None:
        candidate = table.candidate
        self._app, self._candidate = str(table.app), candidate
        self._stable = Resolved(configuration_id=table.stable, assignment=None)
        if candidate is None:
            return
        self._mirrored = Resolved(configuration_id=table.stable, assignment=None, mirrored=True)
        self._baseline = _drawn(candidate, Arm.BASELINE, table.stable)
        self._exposed = _drawn(candidate, Arm.CANDIDATE, candidate.configuration_id)
        salt = stage_salt(candidate.salt, candidate.stage) if candidate.per_stage else candidate.salt
        self._bucket = bucketing(candidate.hash_version, salt)
        self._threshold = buckets(candidate.weight)

    def __call__(
        self,
        unit_id: UnitId,
        kept: Assignment | None = None,
        attributes: Mapping[str, str] = NO_ATTRIBUTES,
    ) -> Resolved:
        """What a unit gets, see :func:`resolve`."""
        candidate = self._candidate
        if candidate is None:
            return self._stable
        if candidate.shadow:
            return self._mirrored if self._is_mirrored(candidate, unit_id, attributes) else self._stable
        if kept is not None and candidate.holds(kept):
            inside = kept.arm is Arm.CANDIDATE
            return Resolved(
                configuration_id=candidate.configuration_id if inside else self._stable.configuration_id,
                assignment=kept,
            )
        if (candidate.audience or candidate.holdout) and not self._takes_part(candidate, unit_id, attributes):
            return self._stable
        return self._exposed if self._bucket(unit_id) < self._threshold else self._baseline

    def _is_mirrored(self, candidate: Candidate, unit_id: UnitId, attributes: Mapping[str, str]) -> bool:
        return self._takes_part(candidate, unit_id, attributes) and is_mirrored(
            candidate.hash_version, candidate.salt, unit_id, candidate.shadow
        )

    def _takes_part(self, candidate: Candidate, unit_id: UnitId, attributes: Mapping[str, str]) -> bool:
        if candidate.holdout and held_out(self._app, unit_id, candidate.holdout):
            return False
        return not candidate.audience or takes_part(candidate.audience, {**attributes, UNIT: unit_id})


def resolve(
    table: ServingTable,
    unit_id: UnitId,
    kept: Assignment | None = None,
    attributes: Mapping[str, str] = NO_ATTRIBUTES,
) -> Resolved:
    """What ``unit_id`` gets under ``table``; for many units, make one :class:`Resolver`.

    A unit that was exposed before (``kept``, from its token or the session table) keeps arm, stage
    and probability as long as the same rollout runs, also if the audience has become another one; a rollback
    removes the candidate and with it every kept arm. Where arms are drawn per stage, it keeps them within
    their stage. While answers of the candidate are mirrored, everybody gets stable.

    Args:
        table: what is served.
        unit_id: who.
        kept: what it got before.
        attributes: what is known of it before it is assigned; only those that the audience names are read,
            and ``unit``, which is its id whatever they say.
    """
    return Resolver(table)(unit_id, kept, attributes)


def _drawn(candidate: Candidate, arm: Arm, configuration_id: ConfigurationId) -> Resolved:
    assignment = Assignment(
        rollout_id=candidate.rollout_id,
        stage=candidate.stage,
        arm=arm,
        probability=served_weight(candidate.weight),
    )
    return Resolved(configuration_id=configuration_id, assignment=assignment)
