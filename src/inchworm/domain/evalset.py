"""Cases and the eval sets that are made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from inchworm.domain.canonical import digest
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import CaseId, EvalSetId


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
    """

    id: CaseId
    inputs: dict[str, Any]
    reference: Any = None
    origin: str
    cluster: str
    group: str
    weight: float = 1.0
    call: str | None = None

    @staticmethod
    def identify(inputs: dict[str, Any], reference: Any, call: str | None = None) -> CaseId:
        """The id of a case with these inputs and this reference, of this call."""
        content = {"inputs": inputs, "reference": reference}
        # A case without a call keeps the id that it had before there were any.
        return CaseId("case-" + digest(content if call is None else {**content, "call": call})[:12])


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
