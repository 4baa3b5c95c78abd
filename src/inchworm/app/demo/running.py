"""The demo as it is run: who plays the model, what runs beside the story, and where it is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from inchworm.app.clock import SimulatedClock
from inchworm.app.config.load import AppSpec, load
from inchworm.app.demo.live_model import NAME as LIVE_MODEL
from inchworm.app.demo.live_model import LiveAnswers, LiveModel
from inchworm.app.demo.machines import machines
from inchworm.app.demo.model_server import served, started
from inchworm.app.demo.setting import COPY, FILE, set_up
from inchworm.app.demo.shop import messages
from inchworm.app.demo.shop_program import ShopProgram
from inchworm.app.demo.stage import Stage
from inchworm.app.demo.story import GRABBED, PER_DAY, TUESDAY, Story, hear
from inchworm.app.demo.tell import Teller
from inchworm.app.demo.traffic import DAY_S, Traffic
from inchworm.app.house import House
from inchworm.app.loop.upstreams import load_recording
from inchworm.domain.errors import UsageError
from inchworm.domain.layers import Layer
from inchworm.providers.upstream import Upstream

LIVE_POOL, LIVE_THREADS = 120, 2
"""Different messages, so that the model is asked for some minutes and not for an hour; and its threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How the demo is run.

    Attributes:
        folder: where it keeps its files; a demo that was stopped goes on there.
        recording: the model's recorded answers; ``None`` to ask the model itself.
        seed: of the traffic.
        ports: of the pages and of the gateway, if they are free; 0 for any.
    """

    folder: Path
    recording: Path | None
    seed: int
    ports: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cast:
    """Who plays the model.

    Attributes:
        answers: recorded, or live.
        server: starts its server, which gives its address.
        model: who it is, in words.
        pool: how many different messages the customers write.
    """

    answers: Upstream
    server: Callable[[AppSpec], AbstractContextManager[str]]
    model: str
    pool: int


def _recorded(setting: Setting) -> _Cast:
    """The recording.

    Raises:
        InputError: if it is none.
        UsageError: if the folder's demo was begun on another one.
    """
    if setting.recording is None:
        raise UsageError("no recording is named")
    load_recording(setting.recording)  # before anything is made of it
    set_up(setting.folder, setting.recording)
    copy = setting.folder / COPY
    if not copy.exists() or copy.read_bytes() != setting.recording.read_bytes():
        raise UsageError(
            f"the demo in {setting.folder} was begun on another recording, or live",
            hint="begin anew with --fresh, or in another --folder",
        )
    recording = load_recording(copy)
    return _Cast(
        answers=recording,
        server=lambda spec: started(copy, spec.configuration.layer(Layer.MODEL)),
        model=f"{recording.header.model}, recorded",
        pool=len(messages()),
    )


def _live(setting: Setting, tell: Teller, stack: ExitStack) -> _Cast:
    """The model itself, on fewer messages.

    Raises:
        UsageError: if it is not installed, or the folder's demo was begun on a recording.
    """
    model = LiveModel(threads=LIVE_THREADS)
    set_up(setting.folder, None)
    if (setting.folder / COPY).exists():
        raise UsageError(
            f"the demo in {setting.folder} was begun on a recording",
            hint="begin anew with --fresh, or in another --folder",
        )
    answers = LiveAnswers(setting.folder / "answers.jsonl", model.answer, tell.asked)
    stack.callback(answers.end)
    return _Cast(
        answers=answers,
        server=lambda spec: served(answers, spec.configuration.layer(Layer.MODEL)),
        model=f"{LIVE_MODEL}, asked live, each question once",
        pool=LIVE_POOL,
    )


def run(setting: Setting, tell: Teller, *, ending: Callable[[], None]) -> None:
    """Tell the whole story.

    Args:
        setting: how it is run.
        tell: where it is told.
        ending: called after the story, while the pages are still up.
    """
    clock = SimulatedClock(TUESDAY)
    with ExitStack() as stack:
        cast = _recorded(setting) if setting.recording is not None else _live(setting, tell, stack)
        spec = load(setting.folder / FILE)
        house = stack.enter_context(
            House(spec=spec, clock=clock, actor="ana", owner=True, answers=cast.answers)
        )
        beside = stack.enter_context(machines(house, cast.server(spec), ports=setting.ports))
        program = stack.enter_context(closing(ShopProgram(house.app, beside.gateway_url)))
        traffic = Traffic(
            answers=cast.answers,
            start=TUESDAY - GRABBED * DAY_S / PER_DAY,
            per_day=PER_DAY,
            seed=setting.seed,
            pool=cast.pool,
        )
        stage = Stage(
            house=house,
            clock=clock,
            traffic=traffic,
            program=program,
            machines=beside,
            began=TUESDAY,
            heard=lambda made: hear(tell, house, made),
        )
        tell.console.print("[bold]Fernhill Outdoor[/] and its assistant. A fictional shop, a real model.")
        tell.say(
            f"Answers: {cast.model}. Sessions are drawn from {cast.pool:,} customer messages with "
            "replacement; the clock is simulated."
        )
        tell.say(f"Its calls go through the gateway at {beside.gateway_url}.")
        tell.address("Watch along:", beside.pages.link("/"))
        shown = Story(stage=stage, tell=tell).tell_all()
        tell.say()
        tell.address("The rollout's page:", beside.pages.link(f"/rollouts/{shown}"))
        ending()
