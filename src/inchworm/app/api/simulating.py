"""Simulations: what a policy would do, before anyone is exposed."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import Field

from inchworm.app.api import models
from inchworm.app.api.deps import ToView

MOST_WORK: Final = 200_000_000
"""Runs times units times metrics times methods: some seconds of one core."""
_Share = Annotated[float, Field(ge=0, le=1)]
_Outcomes = Annotated[list[_Share], Field(min_length=1, max_length=10_000)]


class Simulation(models.Asked):
    """As the options of `inchworm rollout simulate`, by the same names."""

    baseline_rate: _Share | None = None
    candidate_rate: _Share | None = None
    baseline_mean: _Share | None = None
    candidate_mean: _Share | None = None
    sd: _Share | None = None
    baseline: _Outcomes | None = Field(default=None, description="Outcomes of the baseline to draw from.")
    candidate: _Outcomes | None = Field(default=None, description="Outcomes of the candidate.")
    metric: list[models.Name] = Field(
        default_factory=list, max_length=50, description="NAME:BASE:CAND[:MARGIN]."
    )
    weight: list[float] = Field(default_factory=list, max_length=20, description="By stage.")
    margin: _Share | None = None
    harm_margin: _Share = 0.0
    policy: bool = Field(default=False, description="Stages, metrics and margins as the app declares them.")
    units_per_hour: float | None = None
    icc: _Share = 0.0
    units_per_user: int = 1
    label_delay: float = Field(default=0.0, ge=0, description="Hours.")
    missing: models.Name = "0"
    drift: float = 0.0
    runs: int = 1_000
    max_units: int = Field(default=20_000, ge=1, le=1_000_000)
    seed: int = Field(default=1, ge=0)
    alpha: float = 0.05
    method: list[models.Name] = Field(default_factory=lambda: ["inchworm"], min_length=1, max_length=20)
    planned: int = 300
    shadow: bool = False
    discordance: _Share | None = None


def router() -> APIRouter:
    """``POST /simulations``."""
    routes = APIRouter(tags=["rollouts"])

    @routes.post("/simulations", summary="Say what would happen before anyone is exposed")
    def simulate(house: ToView, asked: Simulation) -> models.Anything:
        """As `inchworm rollout simulate`; what would take long is refused. Nothing is kept."""
        from inchworm.app.loop import simulating

        said = asked.model_dump(
            exclude={"baseline", "candidate", "metric", "weight", "method", "label_delay"}
        )
        policy = (house.spec.policy, house.spec.metrics) if said.pop("policy") else None
        question = simulating.Asked(
            **said,
            policy=policy,
            baseline_values=None if asked.baseline is None else tuple(asked.baseline),
            candidate_values=None if asked.candidate is None else tuple(asked.candidate),
            metrics=tuple(asked.metric),
            weights=tuple(asked.weight),
            methods=tuple(asked.method),
            label_delay_h=asked.label_delay,
        )
        return models.told(**simulating.told(simulating.answer(question, most_work=MOST_WORK)))

    return routes
