"""Inchworm's own attributes: what our client and careful callers say of app, unit and assignment."""

from __future__ import annotations

from inchworm.capture.telemetry.plain import amount_of, count_of, json_of, said
from inchworm.capture.telemetry.reported import Reported
from inchworm.capture.telemetry.told import Told
from inchworm.capture.values import quoted
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import RolloutId
from inchworm.domain.trace import Arm, Assignment

APP = "inchworm.app"
CONFIGURATION = "inchworm.configuration.id"
UNIT = "inchworm.unit.id"
REFERENCE = "inchworm.reference"
ROLLOUT, STAGE, ARM, PROBABILITY = (
    "inchworm.rollout.id",
    "inchworm.stage",
    "inchworm.arm",
    "inchworm.probability",
)
_MAX_STAGE = 2**31 - 1


def tell(span: Reported) -> Told:
    """App, unit, configuration, assignment and reference.

    Raises:
        InputError: if an assignment is named by halves or with impossible values, or the app is no app: an
            interaction must not be counted where it does not belong.
    """
    given = span.attributes
    told = Told()
    if (app := given.get(APP)) is not None:
        if not isinstance(app, str):
            raise InputError(f"{APP} is no text")
        told.app = AppRef.parse(app)
    told.person("unit", given.get(UNIT))
    told.configuration = said(given.get(CONFIGURATION))
    told.assignment = _assignment(span)
    reference = given.get(REFERENCE)
    told.reference = found if (found := json_of(reference)) is not None else reference
    told.read = [name for name in (UNIT, REFERENCE) if name in given]
    return told


def _assignment(span: Reported) -> Assignment | None:
    given = span.attributes
    there = [name for name in (ROLLOUT, STAGE, ARM, PROBABILITY) if given.get(name) is not None]
    if not there:
        return None
    if len(there) < 4:
        missing = next(name for name in (ROLLOUT, STAGE, ARM, PROBABILITY) if name not in there)
        raise InputError(f"it has {there[0]} and no {missing}: an assignment has all four or none")
    rollout, stage = said(given[ROLLOUT]), count_of(given[STAGE])
    probability = amount_of(given[PROBABILITY])
    if rollout is None:
        raise InputError(f"{ROLLOUT} is no text")
    if stage is None or stage > _MAX_STAGE:
        raise InputError(f"{STAGE} is no stage; stages count from 0")
    if probability is None or probability > 1:
        raise InputError(f"{PROBABILITY} is no number in [0, 1]")
    try:
        arm = Arm(given[ARM])
    except ValueError as error:
        raise InputError(f"there is no arm {quoted(str(given[ARM]))}: it is baseline or candidate") from error
    return Assignment(rollout_id=RolloutId(rollout), stage=stage, arm=arm, probability=probability)
