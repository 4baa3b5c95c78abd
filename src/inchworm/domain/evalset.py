"""Cases and the eval sets that are made of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from inchworm.domain.canonical import digest
from inchworm.domain.configuration import AppRef
from inchworm.domain.forgetting import NOBODY
from inchworm.domain.ids import CaseId, EvalSetId

_SAID = re.compile(r"; [0-9,]+ cases? forgotten$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A sanitized input with its origin.

    ``cluster`` always means likeness of content; ``group`` always means dependence.

    Attributes:
        id: derived from inputs and reference, and from the call if there is one.
        inputs: values of the prompt's variables.
        reference: a right answer (a string, or a list of strings any of which is right), if there is one.
        origin: where it came from: ``trace:ID``, ``benchmark:ID``, ``file:NAME``.
        cluster: name of the cluster it belongs to.
        group: conversation or user; cases of one group are dependent.
        weight: how many production interactions it stands for, relative to the other cases.
        call: name of the call that it is a case of; ``None`` for one without a name.
        metadata: what a file that it came from says besides, JSON; it is not asked.
    """

    id: CaseId
    inputs: dict[str, Any]
    reference: Any = None
    origin: str
    cluster: str
    group: str
    weight: float = 1.0
    call: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def identify(inputs: dict[str, Any], reference: Any, call: str | None = None) -> CaseId:
        """The id of a case with these inputs and this reference, of this call."""
        content = {"inputs": inputs, "reference": reference}
        # A case without a call keeps the id that it had before there were any.
        return CaseId("case-" + digest(content if call is None else {**content, "call": call})[:12])

    @property
    def is_forgotten(self) -> bool:
        """Whether it was somebody's who is forgotten: then its id and its weight are all that is left."""
        return self.origin == NOBODY

    def forgotten(self) -> Case:
        """What stays of it when it has to be forgotten: its place in the set, and nothing that was said."""
        return replace(
            self, inputs={}, reference=None, origin=NOBODY, group=f"{NOBODY}-{self.id}", metadata={}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalSet:
    """An immutable version of many cases, with the population it stands for.

    Attributes:
        name: as the user calls it.
        version: from 1; a change makes a new version.
        app: whose traffic it stands for.
        cases: without duplicates, ordered by id.
        shares: share in production of each cluster, adding up to 1.
        population: what it stands for, as a sentence with its period and its count.
        parent: the version it grew from, if it grew.
    """

    name: str
    version: int
    app: AppRef
    cases: tuple[Case, ...]
    shares: dict[str, float] = field(default_factory=dict)
    population: str
    parent: EvalSetId | None = None

    @property
    def id(self) -> EvalSetId:
        """``NAME@VERSION``."""
        return EvalSetId(f"{self.name}@{self.version}")

    @property
    def gone(self) -> int:
        """How many of its cases are forgotten."""
        return sum(case.is_forgotten for case in self.cases)

    def forgetting(self, ids: frozenset[CaseId]) -> EvalSet:
        """The same version with these cases forgotten; the population says how many are."""
        cases = tuple(case.forgotten() if case.id in ids else case for case in self.cases)
        gone = sum(case.is_forgotten for case in cases)
        said = f"; {gone:,} {'case' if gone == 1 else 'cases'} forgotten" if gone else ""
        return replace(self, cases=cases, population=_SAID.sub("", self.population) + said)

    def remaining(self) -> EvalSet:
        """What can still be asked: without forgotten cases.

        The others of a cluster stand for them too, so that each cluster keeps its share of production; one
        that lost all of its cases stands for nothing any more.
        """
        if not self.gone:
            return self
        whole: dict[str, float] = {}
        left: dict[str, float] = {}
        for case in self.cases:
            whole[case.cluster] = whole.get(case.cluster, 0.0) + case.weight
            if not case.is_forgotten:
                left[case.cluster] = left.get(case.cluster, 0.0) + case.weight
        return replace(
            self,
            cases=tuple(
                replace(case, weight=case.weight * whole[case.cluster] / left[case.cluster])
                for case in self.cases
                if not case.is_forgotten
            ),
        )
