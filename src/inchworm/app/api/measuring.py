"""Topics, eval sets, benchmarks, attributions. What takes long is answered when it is done."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from inchworm.app import asjson, names
from inchworm.app.api import models
from inchworm.app.api.deps import After, Limit, ToDeploy, ToLabel, ToView, changed, paged
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import BenchmarkId

_LONG = (
    "Answers when it is done, which may take minutes; where the connection breaks, it goes on and is kept."
)


def router() -> APIRouter:
    """Routes of what is measured."""
    routes = APIRouter(tags=["measuring"])

    @routes.post("/label", summary="Find topics and what fits none", description=_LONG)
    def label(
        request: Request, house: ToLabel, odd: Annotated[int, Query(ge=0, le=1_000)] = 10
    ) -> models.Anything:
        from inchworm.app.loop.topics import fit

        picture = fit(house)
        changed(request)
        return models.told(**{"app": str(house.app), **asjson.picture(picture, odd)})

    @routes.get("/evalsets", summary="List every version of every eval set")
    def eval_sets(house: ToView) -> models.Anything:
        found = house.control.eval_sets(house.app)
        return models.told(eval_sets=[asjson.eval_set_row(one) for one in found])

    @routes.post("/evalsets", status_code=201, summary="Draw a new version from the stored interactions")
    def build(request: Request, house: ToLabel, asked: models.Build) -> models.Anything:
        from inchworm.app.loop.measuring import build_eval_set

        if "@" in asked.name or not asked.name.strip():
            raise UsageError(
                f'"{asked.name}" cannot be the name of an eval set: versions are counted for you'
            )
        made = build_eval_set(house, name=asked.name, size=asked.size, seed=asked.seed)
        changed(request)
        return models.told(eval_set=asjson.eval_set(made))

    @routes.get("/evalsets/{name}", summary="Show an eval set and its cases")
    def eval_set(house: ToView, name: str, limit: Limit = 10, after: After = None) -> models.Anything:
        """By NAME, which is its latest version, or NAME@VERSION."""
        found = names.eval_set(house, name)
        cases, following = paged(found.cases, lambda case: case.id, after, limit)
        return models.told(eval_set=asjson.eval_set(found, cases), after=following)

    @routes.get("/proposals", summary="List cases that somebody would like to have in the eval set")
    def proposals(
        house: ToView,
        every: Annotated[bool, Query(description="Also those that were accepted.")] = False,  # noqa: FBT002  # a query
    ) -> models.Anything:
        found = house.control.proposals(house.app, open_only=not every)
        return models.told(proposals=[asjson.proposal(one) for one in found])

    @routes.post("/proposals/{proposal_id}/accept", summary="Admit the cases of a proposal")
    def accept(request: Request, house: ToLabel, proposal_id: str) -> models.Anything:
        from inchworm.app.loop.measuring import accept as admit

        grown, added = admit(house, names.open_proposal(house, proposal_id))
        changed(request)
        return models.told(proposal=proposal_id, eval_set=grown.id, added=added, cases=len(grown.cases))

    @routes.get("/benchmarks", summary="List benchmarks, newest first")
    def benchmarks(house: ToView, limit: Limit = 20, after: After = None) -> models.Anything:
        from inchworm.benchmark import report

        found, following = paged(house.control.benchmarks(house.app), lambda one: one.id, after, limit)
        return models.told(benchmarks=[report.to_json(one) for one in found], after=following)

    @routes.get("/benchmarks/{benchmark_id}", summary="Show a benchmark")
    def benchmark(house: ToView, benchmark_id: str) -> models.Anything:
        from inchworm.benchmark import report

        return models.told(benchmark=report.to_json(house.control.benchmark(BenchmarkId(benchmark_id))))

    @routes.post(
        "/benchmarks", status_code=201, summary="Compare two configurations on an eval set", description=_LONG
    )
    def measure(request: Request, house: ToDeploy, asked: models.Benchmark) -> models.Anything:
        from inchworm.app.loop.measuring import compare
        from inchworm.benchmark import report

        found = names.eval_set(house, asked.evalset)
        base, candidate = names.two_configurations(house, asked.base, asked.candidate)
        made = compare(
            house,
            base,
            candidate,
            eval_set=found,
            samples=asked.repetitions,
            max_usd=asked.max_usd,
        )
        changed(request)
        return models.told(benchmark=report.to_json(made))

    @routes.get("/attributions", summary="List attributions, newest first")
    def attributions(house: ToView) -> models.Anything:
        found = house.control.attributions(house.app)
        return models.told(attributions=[asjson.data_of(one) for one in found])

    @routes.post("/attributions", status_code=201, summary="Find the layer that did it", description=_LONG)
    def attribute(request: Request, house: ToDeploy, asked: models.Attribute) -> models.Anything:
        from inchworm.app.loop.attributing import attribute as find

        found = names.eval_set(house, asked.evalset)
        base, candidate = names.two_configurations(house, asked.base, asked.candidate)
        findings = find(
            house, base, candidate, eval_set=found, metric=asked.metric, samples=asked.repetitions
        )
        changed(request)
        return models.told(**asjson.findings(findings))

    return routes
