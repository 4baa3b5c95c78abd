"""The serving table: the one row per app that every gateway and client obeys.

Rolling back is writing this row with weight 0. Its canonical form is pinned by golden vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inchworm.domain.assignment import arm_of, served_weight
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import ConfigurationId, RolloutId, UnitId
from inchworm.domain.trace import Arm, Assignment

FORMAT = "serving/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The configuration that is being exposed, and how.

    Attributes:
        rollout_id: the rollout that exposes it.
        configuration_id: what the candidate arm gets.
        stage: 0-based stage.
        weight: share of the traffic in [0, 1].
        salt: fresh per rollout, so that the same people are not always the canary.
        hash_version: see :func:`inchworm.domain.assignment.bucket`.
    """

    rollout_id: RolloutId
    configuration_id: ConfigurationId
    stage: int
    weight: float
    salt: str
    hash_version: int


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
        """The JSON form, version ``serving/1``."""
        candidate = self.candidate
        return {
            "format": FORMAT,
            "app": str(self.app),
            "generation": self.generation,
            "stable": self.stable,
            "candidate": None
            if candidate is None
            else {
                "rollout": candidate.rollout_id,
                "configuration": candidate.configuration_id,
                "stage": candidate.stage,
                "weight": candidate.weight,
                "salt": candidate.salt,
                "hash_version": candidate.hash_version,
            },
        }

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> ServingTable:
        """The inverse of :meth:`content`.

        Raises:
            ValueError: for another format version.
        """
        if content.get("format") != FORMAT:
            msg = f"serving table has format {content.get('format')!r}, this version reads {FORMAT}"
            raise ValueError(msg)
        row = content["candidate"]
        return cls(
            app=AppRef.parse(content["app"]),
            generation=content["generation"],
            stable=ConfigurationId(content["stable"]),
            candidate=None
            if row is None
            else Candidate(
                rollout_id=RolloutId(row["rollout"]),
                configuration_id=ConfigurationId(row["configuration"]),
                stage=row["stage"],
                weight=row["weight"],
                salt=row["salt"],
                hash_version=row["hash_version"],
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What one unit gets: a configuration and, during a rollout, the assignment to record."""

    configuration_id: ConfigurationId
    assignment: Assignment | None


def resolve(table: ServingTable, unit_id: UnitId, kept: Assignment | None = None) -> Resolved:
    """What ``unit_id`` gets under ``table``.

    A unit that was exposed before (``kept``, from its token or the session table) keeps arm, stage
    and probability as long as the same rollout runs; a rollback removes the candidate and with it
    every kept arm.
    """
    candidate = table.candidate
    if candidate is None:
        return Resolved(configuration_id=table.stable, assignment=None)
    if kept is not None and kept.rollout_id == candidate.rollout_id:
        assignment = kept
    else:
        assignment = Assignment(
            rollout_id=candidate.rollout_id,
            stage=candidate.stage,
            arm=arm_of(candidate.hash_version, candidate.salt, unit_id, candidate.weight),
            probability=served_weight(candidate.weight),
        )
    inside = assignment.arm is Arm.CANDIDATE
    return Resolved(
        configuration_id=candidate.configuration_id if inside else table.stable, assignment=assignment
    )
