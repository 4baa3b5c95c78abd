"""Eval sets from files and to files: sanitized, in versions, and what cannot be carried over is named."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import IO, Any, Final

from inchworm.app.casefiles import CONTAINERS, container_of, packed, records
from inchworm.app.house import House
from inchworm.app.loop.measuring import keep_eval_set
from inchworm.app.loop.sanitizing import Cleaner
from inchworm.app.loop.taking import SHOWN
from inchworm.benchmark.curate import NO_CLUSTER
from inchworm.benchmark.exchange import FORMATS, Draft, Format, format_of
from inchworm.capture.dialects import Refused, parse
from inchworm.capture.fields import DERIVED, Place
from inchworm.capture.lines import Rejected
from inchworm.domain.errors import InputError, UsageError
from inchworm.domain.evalset import Case, EvalSet
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.outcome import Ok
from inchworm.domain.trace import Trace
from inchworm.domain.wording import counted
from inchworm.sanitize import Memo, Sanitizer, UnsanitizableError

_PLAIN: Final = frozenset({"jsonl", "csv", "parquet"})
_NOBODY: Final = UnitId("nobody")
_ANSWERS: Final = "answers taken as references: no other reference is said"


@dataclass(slots=True)
class CasesRead:
    """What became of a file of cases.

    Attributes:
        eval_set: the version that was made, or that has the same cases already; ``None`` without cases.
        made: whether a version was made.
        form: the format that most records had, or ``interactions``.
        records: read.
        repeated: that say the same case as another; their weights add up.
        rejected: that are no cases.
        first_rejected: the first of them, with the reason, sanitized.
        said: what is not carried over as it is meant, and of how many.
        found: what sanitizing found, by kind.
    """

    eval_set: EvalSet | None = None
    made: bool = False
    form: str = ""
    records: int = 0
    repeated: int = 0
    rejected: int = 0
    first_rejected: list[dict[str, Any]] = field(default_factory=list)
    said: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)


def import_cases(
    house: House, file: IO[bytes], name: str, *, form: str | None = None, called: str | None = None
) -> CasesRead:
    """Make a version of an eval set of a file.

    Args:
        house: whose.
        file: the file.
        name: what it is called.
        form: its format, one of :data:`~inchworm.benchmark.exchange.FORMATS`; told record by record if left
            out.
        called: the eval set's name; the file's own if left out.

    Raises:
        InputError: if it is no such file, or nothing in it is a case.
    """
    container = form if form in _PLAIN else container_of(name)
    if container is None:
        raise InputError(
            f"what {PurePath(name).name} is packed as cannot be told by its name",
            hint=f"name it .{', .'.join(CONTAINERS)}; or say --format jsonl",
        )
    read = CasesRead()
    making = _Making(house, read, PurePath(name).name)
    cases: dict[str, Case] = {}
    forms: Counter[str] = Counter()
    for number, record in records(file, container):
        read.records += 1
        if isinstance(record, Rejected):
            making.reject(number, record.reason)
            continue
        try:
            known = None if form in _PLAIN and format_of(record) != "jsonl" else (form or format_of(record))
            forms[known or "interactions"] += 1
            case = making.case(making.draft(record, None if known is None else FORMATS[known]))
        except (InputError, UnsanitizableError) as error:
            making.reject(number, error.message)
            continue
        before = cases.get(case.id)
        read.repeated += before is not None
        cases[case.id] = case if before is None else replace(before, weight=before.weight + case.weight)
    read.form = forms.most_common(1)[0][0] if forms else ""
    if cases:
        _keep(house, read, list(cases.values()), called or _name(name), PurePath(name).name)
    return read


class _Making:
    """Makes cases of records."""

    def __init__(self, house: House, read: CasesRead, name: str) -> None:
        settings = house.spec.sanitize
        sanitizer = Sanitizer(kinds=settings.kinds, custom=settings.custom, memo=Memo(secrets.token_bytes(8)))
        self._house, self._read, self._name = house, read, name
        self._cleaner = Cleaner(sanitizer, house.pseudonym)
        self._plain = Sanitizer(kinds=settings.kinds, custom=settings.custom)

    def draft(self, record: dict[str, Any], format_: Format | None) -> Draft:
        """What a record says; without a format it is an interaction.

        Raises:
            InputError: if it is no case.
        """
        if format_ is not None:
            return format_.read(record, self._read.said)
        found = parse(record, Place(app=self._house.app, id=TraceId("case"), at=0.0))
        if isinstance(found, Refused):
            raise InputError(found.reason)
        trace = found.trace
        if not trace.has_content:
            raise InputError("it does not say what was asked")
        answered = trace.reference is None and bool(trace.output) and isinstance(trace.outcome, Ok)
        self._read.said[_ANSWERS] += answered
        return Draft(
            inputs=trace.inputs,
            reference=trace.output if answered else trace.reference,
            call=trace.call,
            group=None if found.unit_from.derived else trace.unit_id,
            metadata={name: value for name, value in trace.attributes.items() if name != DERIVED},
        )

    def case(self, draft: Draft) -> Case:
        """The case, sanitized.

        Raises:
            UnsanitizableError: if it cannot be sanitized.
            InputError: if it cannot be told from others.
        """
        content = Trace(
            id=TraceId("case"),
            app=self._house.app,
            at=0.0,
            unit_id=UnitId(draft.group) if draft.group else _NOBODY,
            inputs=draft.inputs,
            reference=draft.reference,
            outcome=Ok(),
            attributes={
                "metadata": draft.metadata,
                "call": draft.call,
                "cluster": draft.cluster or NO_CLUSTER,
                "origin": draft.origin or f"file:{self._name}",
            },
        )
        clean = self._cleaner.trace(content)
        self._read.found += clean.report.by_kind
        made, said = clean.what, clean.what.attributes
        try:
            id_ = Case.identify(made.inputs, made.reference, said["call"])
        except ValueError as error:
            raise InputError(f"it cannot be told from other cases: {error}") from error
        return Case(
            id=id_,
            inputs=made.inputs,
            reference=made.reference,
            origin=said["origin"],
            cluster=said["cluster"],
            group=id_ if made.unit_id == _NOBODY else made.unit_id,
            weight=draft.weight,
            call=said["call"],
            metadata=said["metadata"],
        )

    def reject(self, number: int, reason: str) -> None:
        """Say why a record is no case."""
        self._read.rejected += 1
        if len(self._read.first_rejected) < SHOWN:
            try:
                text = self._plain.unit().text(reason).text
            except UnsanitizableError as error:
                text = f"it cannot be shown: {error.message}"
            self._read.first_rejected.append({"line": number, "reason": text})


def _keep(house: House, read: CasesRead, cases: list[Case], name: str, file: str) -> None:
    versions = [one.version for one in house.control.eval_sets(house.app) if one.name == name]
    ordered = tuple(sorted(cases, key=lambda case: case.id))
    if versions:
        last = house.control.eval_set(house.app, name)
        if last.cases == ordered:
            read.eval_set = last
            return
    total = sum(case.weight for case in ordered)
    shares: dict[str, float] = {}
    for case in ordered:
        shares[case.cluster] = shares.get(case.cluster, 0.0) + case.weight / total
    read.eval_set = EvalSet(
        name=name,
        version=max(versions, default=0) + 1,
        app=house.app,
        cases=ordered,
        shares=shares,
        population=f"{counted(len(ordered), 'case')} of the file {file}",
    )
    read.made = True
    keep_eval_set(house, read.eval_set, f"{read.eval_set.id} imported: {read.eval_set.population}")


def _name(file: str) -> str:
    stem = PurePath(file.removesuffix(".gz")).stem
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "imported"


@dataclass(frozen=True, slots=True, kw_only=True)
class CasesWritten:
    """An eval set as a file.

    Attributes:
        data: the file, in pieces.
        container: how it is packed.
        cases: how many are in it.
        forgotten: how many are not, for they are forgotten.
        said: what the format cannot say in its own words, and of how many.
    """

    data: Iterator[bytes]
    container: str
    cases: int
    forgotten: int
    said: Counter[str]


def export_cases(found: EvalSet, *, form: str, name: str | None = None) -> CasesWritten:
    """An eval set in another tool's format; without its forgotten cases.

    Args:
        found: the eval set.
        form: one of :data:`~inchworm.benchmark.exchange.FORMATS`.
        name: of the file, which says how it is packed; else as is usual for the format.

    Raises:
        UsageError: if files of the format are not packed so.
    """
    format_ = FORMATS[form]
    container = (None if name is None else container_of(name)) or format_.containers[0]
    if container not in format_.containers:
        raise UsageError(
            f"{form} is not written as {container}",
            hint=f"name the file .{', or .'.join(format_.containers)}",
        )
    said: Counter[str] = Counter()
    cases = found.remaining().cases
    made = [format_.write(case, said) for case in cases]
    return CasesWritten(
        data=packed(made, container), container=container, cases=len(cases), forgotten=found.gone, said=said
    )
