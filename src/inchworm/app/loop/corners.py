"""Corners: every combination of the layers of a change, measured before it is planned; and bridges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations

from inchworm.app.house import House
from inchworm.app.loop.costing import mean_cost
from inchworm.app.loop.evidence import freeze_now
from inchworm.app.loop.measuring import Watch, because, compare
from inchworm.app.loop.sampling import MAIN, repetitions
from inchworm.benchmark.replay import Progress
from inchworm.domain.change import Change, Corner
from inchworm.domain.configuration import Configuration
from inchworm.domain.evalset import EvalSet
from inchworm.domain.ids import ConfigurationId, short
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Metric
from inchworm.domain.verdict import Verdict
from inchworm.domain.wording import counted, listed, usd
from inchworm.rollout.sequencing.legs import After, Measured, Needed
from inchworm.rollout.sequencing.orders import combinations, in_order
from inchworm.rollout.sequencing.sequence import one_at_a_time
from inchworm.rollout.validate import Known, validate

MOST_CORNERS = 16
"""Combinations that are measured at most: all of four layers. Of more, those on the first orders."""
MOST_BRIDGES = 4
"""Values that are tried as a bridge at most."""
_ALL = 3
"""Up to so many layers every combination is measured."""
_LATEST = 1_000


def _silent(text: str) -> None:
    del text


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """How combinations are measured.

    Attributes:
        max_usd: what all of it may cost at most; what is left is inconclusive or has no data.
        watch: told how far a benchmark is.
        tell: told what comes next and what it costs, before it is asked.
    """

    max_usd: float | None = None
    watch: Watch | None = None
    tell: Callable[[str], None] = _silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a way has to keep to besides the verdicts, as ``sequence.take_apart`` has it."""

    known: Known
    after: After
    needed: Needed


def measure(
    house: House,
    change: Change,
    rules: Rules,
    measuring: Measuring,
    *,
    via: Configuration | None = None,
    joint: bool = False,
) -> tuple[Measured, Configuration | None]:
    """Measure the combinations of a change against its base, and look for a bridge if no order holds.

    By the gate, at the policy's margins, on the latest ``main``. Answers that were given before come from
    the cache.

    Args:
        house: whose change.
        change: base and candidate.
        rules: what orders have to keep to.
        measuring: budget, and who is told.
        via: the configuration that the way leads over; then the combinations of both parts are measured.
        joint: do not look for a bridge.

    Returns:
        The corners, and the configuration that the way leads over, given or found.

    Raises:
        NotFoundError: if there is no eval set.
        UsageError: if a budget is set and a price is not known, or an upstream cannot be asked.
    """
    bench = _Bench(
        house=house,
        base=change.base,
        eval_set=house.control.eval_set(house.app, MAIN).remaining(),
        metrics=freeze_now(house),
        samples=repetitions((change.base, change.candidate)),
        rules=rules,
        measuring=measuring,
        left_usd=measuring.max_usd,
    )
    wanted = _combinations(change) if via is None else _over(change, via)
    bench.announce([one.configuration for one in wanted])
    for one in wanted:
        bench.measure(one)
    if via is None and not joint:
        via = _bridge(bench, change)
    return bench.measured(), via


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A combination to measure."""

    configuration: Configuration
    layers: tuple[Layer, ...]
    bridged: tuple[Layer, ...] = ()
    skip: str | None = None


@dataclass(slots=True, kw_only=True)
class _Bench:
    """Measures combinations one after the other, within one budget."""

    house: House
    base: Configuration
    eval_set: EvalSet
    metrics: tuple[Metric, ...]
    samples: int
    rules: Rules
    measuring: Measuring
    left_usd: float | None
    corners: dict[ConfigurationId, Corner] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def measured(self) -> Measured:
        return Measured(
            corners=tuple(self.corners.values()), eval_set=self.eval_set.id, remarks=tuple(self.remarks)
        )

    def missing(self, configurations: Sequence[Configuration]) -> dict[ConfigurationId, int]:
        """Calls that each would still take."""
        ids = [one.id for one in (self.base, *configurations)]
        cases = [case.id for case in self.eval_set.cases]
        had = self.house.control.trials(cases, ids)
        counts = dict.fromkeys(ids, len(cases) * self.samples)
        for _, configuration_id, repetition in had:
            counts[configuration_id] -= repetition < self.samples
        return counts

    def announce(self, configurations: Sequence[Configuration]) -> None:
        """Say what comes, and what it costs as far as known, before anybody is asked."""
        missing = self.missing(configurations)
        calls = sum(missing.values())
        latest = self.house.traces.traces(self.house.app, limit=_LATEST).traces
        prices = [(missing[one.id], mean_cost(latest, one)) for one in (self.base, *configurations)]
        known = [count * price for count, price in prices if price is not None]
        cost = f", ≈ {usd(sum(known))}" if calls and len(known) == len(prices) else ""
        limit = "" if self.measuring.max_usd is None else f", at most {usd(self.measuring.max_usd)}"
        self.measuring.tell(
            f"measuring {counted(len(configurations), 'combination')} on {self.eval_set.id}: "
            f"{counted(calls, 'call')}{cost}{limit}"
        )

    def measure(self, wanted: _Wanted) -> Corner:
        """Its corner; from what was measured before in this run if it is there."""
        configuration = wanted.configuration
        if configuration.id not in self.corners:
            self.corners[configuration.id] = self._corner(wanted)
        return self.corners[configuration.id]

    def _corner(self, wanted: _Wanted) -> Corner:
        empty = Corner(
            layers=wanted.layers,
            configuration=wanted.configuration.id,
            verdict=None,
            because=wanted.skip or "",
            bridged=wanted.bridged,
        )
        if wanted.skip is not None:
            return empty
        if problems := validate(wanted.configuration, self.rules.known):
            return replace(empty, because=f"cannot run: {problems[0].message}")
        spent = 0.0

        def watch(progress: Progress) -> None:
            nonlocal spent
            spent = progress.cost_usd
            if self.measuring.watch is not None:
                self.measuring.watch(progress)

        made = compare(
            self.house,
            self.base,
            wanted.configuration,
            eval_set=self.eval_set,
            metrics=self.metrics,
            samples=self.samples,
            margin_factor=self.house.spec.policy.gate_margin_factor,
            max_usd=self.left_usd,
            watch=watch,
        )
        if self.left_usd is not None:
            self.left_usd = max(self.left_usd - spent, 0.0)
        return replace(empty, verdict=made.verdict, because=f"{because(made)}.", benchmark_id=made.id)


def _combinations(change: Change) -> list[_Wanted]:
    """Those of a change, the whole first; of many layers, those on the first orders."""
    layers = change.layers
    everything = frozenset(layers)
    every = [one for one in combinations(layers) if one and one != everything]
    chosen = every
    if len(layers) > _ALL:
        chosen = list(_on_orders(layers, MOST_CORNERS - 1))
    skipped = f"not measured: {MOST_CORNERS} combinations at most are"
    return [
        _Wanted(
            configuration=change.base.with_layers_of(change.candidate, moved),
            layers=in_order(moved),
            skip=None if moved in chosen or moved == everything else skipped,
        )
        for moved in (everything, *every)
    ]


def _on_orders(layers: Sequence[Layer], most: int) -> Iterator[frozenset[Layer]]:
    seen = set[frozenset[Layer]]()
    for order in permutations(layers):
        for place in range(1, len(order)):
            moved = frozenset(order[:place])
            if moved not in seen:
                if len(seen) == most:
                    return
                seen.add(moved)
                yield moved


def _over(change: Change, via: Configuration) -> list[_Wanted]:
    """The combinations of both parts of a way over another configuration; the whole first."""
    first, second = change.base.moved(via), via.moved(change.candidate)
    whole = _Wanted(configuration=change.candidate, layers=change.layers)
    wanted = [
        _Wanted(configuration=change.base.with_layers_of(via, moved), layers=(), bridged=in_order(moved))
        for moved in combinations(first)
        if moved
    ]
    wanted += [
        _Wanted(
            configuration=via.with_layers_of(change.candidate, moved),
            layers=in_order(moved),
            bridged=tuple(layer for layer in first if layer not in moved),
        )
        for moved in combinations(second)
        if moved and len(moved) < len(second)
    ]
    cut = f"not measured: {MOST_CORNERS} combinations at most are"
    return [
        replace(one, skip=cut if place >= MOST_CORNERS else None)
        for place, one in enumerate([whole, *wanted])
    ]


def _bridge(bench: _Bench, change: Change) -> Configuration | None:
    """A stored value of one layer over which every single step passes; cheapest first, a few at most."""
    measured, rules = bench.measured(), bench.rules
    whole = measured.verdict(change.candidate.id)
    if whole is not Verdict.PASS or one_at_a_time(change, rules.known, rules.after, rules.needed, measured):
        return None
    found = _values(bench, change)
    for via in found[:MOST_BRIDGES]:
        (layer,) = change.base.moved(via)
        name = f"{layer} of {short(via.id)}"
        bench.announce([one.configuration for one in _over(change, via)])
        alone = bench.measure(_Wanted(configuration=via, layers=(), bridged=(layer,)))
        if alone.verdict is not Verdict.PASS:
            _drop(bench, layer, f"Tried as a bridge: {name}, which does not pass: {alone.because}")
            continue
        for one in _over(change, via):
            bench.measure(one)
        rest = replace(change, base=via)
        if one_at_a_time(rest, rules.known, rules.after, rules.needed, bench.measured(), sure=True):
            bench.remarks.append(f"Found a bridge: {name} passes, and every single step after it.")
            return via
        _drop(bench, layer, f"Tried as a bridge: {name}, after which no single order passes.")
    tried = counted(min(len(found), MOST_BRIDGES), "stored value") if found else "no stored value"
    bench.remarks.append(f"No bridge: {tried} of {listed(change.layers)} to try, and none holds.")
    return None


def _drop(bench: _Bench, layer: Layer, remark: str) -> None:
    """A bridge that does not hold is told, and its corners are no part of the plan; their benchmarks stay."""
    bench.remarks.append(remark)
    bench.corners = {key: one for key, one in bench.corners.items() if layer not in one.bridged}


def _values(bench: _Bench, change: Change) -> list[Configuration]:
    """The base with one layer at another value that was stored once; those with the fewest calls first."""
    stored = bench.house.control.configurations(bench.house.app)
    found: dict[ConfigurationId, Configuration] = {}
    for layer in change.layers:
        ends = (change.base.layer(layer), change.candidate.layer(layer))
        for one in stored:
            if one.configuration.layer(layer) in ends:
                continue
            via = change.base.with_layers_of(one.configuration, (layer,))
            if not validate(via, bench.rules.known):
                found.setdefault(via.id, via)
    missing = bench.missing(list(found.values()))
    return sorted(found.values(), key=lambda via: missing[via.id])
