"""Small shops for the pages: mirrored, by cluster, awaited, frozen, joint and broken glass.

All went through the real loop: exposed or mirrored, drained, decided by the controller.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.integration.web.setting import HOUR, YAML, Shop

from inchworm.app.config.load import load
from inchworm.app.loop.changing import apply, queued_rollout
from inchworm.app.loop.emergency import break_glass
from inchworm.app.loop.incoming import Mirroring
from inchworm.app.loop.mirroring import record_mirrored
from inchworm.app.loop.planning import make_plan
from inchworm.domain.configuration import Configuration
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import LedgerEntry, Rollout
from inchworm.domain.serving import resolve
from inchworm.domain.trace import Trace

WANTED = "a page shows it"
Moves = dict[Layer, dict[str, Any]]
HARMLESS: Moves = {Layer.PARAMETERS: {"temperature": 0, "max_tokens": 300}}
SHADOW = """\
  stages:
    - {shadow: 60%, min_pairs: 2000, min_bake: 1h, max_calls: 5000}
    - {weight: 20%, min_units: 150, min_bake: 1h, audience: {plan: [internal, beta]}}
    - {weight: 50%, min_units: 4000, min_bake: 6h}
"""
APPROVALS = """\
  approvals: {count: 2, by: [ben, carla, dora], before: [50%]}
  loss_budget: {margin: 3%, per: 90d}
  holdout: 2%
"""
FIRST = "  approvals: {by: [ben, carla]}\n"
FREEZE = """\
  freeze:
    - {from: 2026-11-18T18:30, for: 48h, zone: UTC, reason: stocktaking}
"""


def opened(folder: Path, *, rollout: str = "", stages: str = "") -> Shop:
    """The shop with more under ``rollout``, or other stages, and a history of four hours."""
    shop = Shop.open(folder)
    text = YAML.replace("rollout:\n", f"rollout:\n{rollout}")
    if stages:
        before, _, rest = text.partition("  stages:\n")
        text = before + stages + rest[rest.index("  soak") :]
    (folder / "inchworm.yaml").write_text(text, "utf-8")
    shop.house.follow(load(folder / "inchworm.yaml"))
    shop.slot(150, 4 * HOUR)
    return shop


def applied(shop: Shop, moves: Moves, *, by: str = "ana") -> Rollout:
    """A change, applied by somebody; its first rollout."""
    house = shop.house.acting(by)
    plan = make_plan(house, wanted(shop, moves), reason="it answers better")
    first = apply(house, plan.id, undecided_because=WANTED)[0]
    shop.round()
    return house.control.rollout(first.id)


def wanted(shop: Shop, moves: Moves) -> Configuration:
    """Stable with these layers."""
    found = shop.house.control.configuration(shop.house.lineage().stable)
    for layer, values in moves.items():
        found = found.with_layer(layer, values)
    return found


def mirrored(folder: Path, *, documents: int = 1) -> Shop:
    """A change at its shadow stage; with two documents every other answer is wrong."""
    shop = opened(folder, stages=SHADOW)
    applied(shop, {Layer.CONTEXT: {"documents": documents}} if documents > 1 else HARMLESS)
    mirror(shop, 150)
    mirror(shop, 150)
    return shop


def mirror(shop: Shop, sessions: int) -> int:
    """Customers are answered by stable, and what is drawn is put to the candidate too; how much that was."""
    house = shop.house
    table = house.control.serving(house.app)
    assert table is not None
    if table.candidate is None:
        return 0
    stable = house.control.configuration(table.stable)
    candidate = house.control.configuration(table.candidate.configuration_id)
    answers, calls = list[Trace](), list[Mirroring]()
    first = int(shop.clock.at)
    for number in range(first, first + sessions):
        unit, at = UnitId(f"s-{number}"), shop.clock.at
        got = resolve(table, unit)
        shop.again(number)
        one = shop.trace(number, unit, at, stable, None)
        answers.append(one)
        if not got.mirrored:
            continue
        shop.again(number)
        other = shop.trace(number, unit, at, candidate, None)
        shadow = replace(other, id=TraceId(f"c-{number}"), shadow_of=one.id)
        answers.append(shadow)
        calls.append(
            Mirroring(
                b"",
                folder_of(shop),
                unit_id=unit,
                rollout_id=table.candidate.rollout_id,
                stage=table.candidate.stage,
                trace_id=one.id,
                shadow_id=shadow.id,
                at=at,
            )
        )
    shop.clock.at += HOUR
    record_mirrored(house, calls)
    shop.take(answers)
    shop.round()
    return len(calls)


def folder_of(shop: Shop) -> Path:
    return shop.house.spec.file.parent


def awaited(folder: Path) -> Shop:
    """A change at its first stage that needs two more words for the second; something changed meanwhile."""
    shop = opened(folder, rollout=APPROVALS)
    prompt = shop.house.spec.configuration.layer(Layer.PROMPT)
    first = applied(shop, {Layer.PROMPT: {**prompt, "system": "You answer for a shop. Be kind."}})
    shop.slot(120, HOUR)
    house = shop.house
    house.control.append_ledger(
        LedgerEntry(
            app=house.app,
            at=house.now(),
            kind="observed",
            actor="inchworm",
            what="the alias gpt-4.1-mini answers as gpt-4.1-mini-2026-11-01 by now",
            data={"what": "model_alias", "from": "a", "to": "b", "call": None},
        )
    )
    assert first.id == "r-1"
    shop.slot(120, HOUR)
    return shop


def joint(folder: Path) -> Shop:
    """Two layers that move as one, held until somebody agrees; a third change waits behind them."""
    shop = opened(folder, rollout=FIRST)
    house = shop.house
    prompt = house.spec.configuration.layer(Layer.PROMPT)
    moves: Moves = {Layer.CONTEXT: {"documents": 3}, Layer.PROMPT: {**prompt, "system": "Be kind."}}
    plan = make_plan(house, wanted(shop, moves), reason="the prompt names what the documents say")
    (rollout_id,) = house.control.reserve_rollouts(1)
    one = queued_rollout(
        house,
        rollout_id,
        plan,
        step=1,
        steps=1,
        layer=Layer.CONTEXT,
        values=moves[Layer.CONTEXT],
        joint={Layer.PROMPT: moves[Layer.PROMPT]},
        because="queued by ana as one step of two layers.",
    )
    assert house.control.enqueue([one], expected_stable=house.lineage().stable, ledger=[])
    shop.round()
    applied(shop, HARMLESS, by="ben")
    return shop


def emergency(folder: Path) -> Shop:
    """A change for which the glass was broken, past everything."""
    shop = opened(folder, rollout=FIRST)
    house = shop.house.acting("ben")
    plan = make_plan(house, wanted(shop, {**HARMLESS, Layer.CONTEXT: {"documents": 3}}))
    break_glass(house, plan.id, "the provider’s incident empties every second answer")
    shop.slot(60, HOUR)
    return shop


def frozen(folder: Path) -> Shop:
    """A change at its first stage, frozen by now."""
    shop = opened(folder, rollout=FREEZE)
    applied(shop, HARMLESS)
    shop.slot(120, HOUR)
    return shop
