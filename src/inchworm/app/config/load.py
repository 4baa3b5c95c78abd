"""``inchworm.yaml`` to the values that the rest of Inchworm works with.

Everything that is wrong is said with file, line and key, several things at once; a value of ``api_key`` is
never repeated. Only this module and the ones it calls know how the file is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from inchworm.app.config.files import Included, UnreadableError, read_text
from inchworm.app.config.judging import judging
from inchworm.app.config.ladder import LARGEST_HOLDOUT, stages
from inchworm.app.config.metricentry import MetricEntry
from inchworm.app.config.models import facts
from inchworm.app.config.permitting import approvals, loss_budget, windows
from inchworm.app.config.problems import KeyPath, Problems, dotted
from inchworm.app.config.retention import Retention
from inchworm.app.config.schema import ConfigFile, Sanitize
from inchworm.app.config.translate import translate
from inchworm.app.config.yamltree import Document, parse
from inchworm.domain.assignment import HASHES
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import ConfigError, InputError, UsageError
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.metric import Metric, Role
from inchworm.domain.notice import Target
from inchworm.domain.rollout import Policy, UnitKind
from inchworm.evaluators import score
from inchworm.providers.catalogue import ModelFacts
from inchworm.rollout.calendar import Window
from inchworm.sanitize import CustomPattern, Kind

_METRIC = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
INIT = "to write one from what is known of the traffic, run: inchworm init"


@dataclass(frozen=True, slots=True, kw_only=True)
class SanitizeSettings:
    """What the sanitizer is told.

    Attributes:
        kinds: built-in kinds to look for.
        custom: kinds of the user's own.
    """

    kinds: tuple[Kind, ...] = tuple(Kind)
    custom: tuple[CustomPattern, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSpec:
    """What one ``inchworm.yaml`` asks for.

    Attributes:
        app: the feature and where it runs.
        configuration: all six layers, included files read.
        metrics: goals first, then guardrails, then signals; in the order of the file within each.
        policy: how changes are exposed.
        after: for a layer, the layers that must move before it.
        sanitize: what the sanitizer is told.
        data: the data directory.
        recording: the recorded answers for ``upstream: recorded``, if any are named.
        file: the file that was read, as it was named.
        models: what it says of models, beside what Inchworm knows.
        notify: who is told of decisions.
        public_url: where people open the pages, without a slash at the end; ``None`` if it is not said.
        freeze: times in which nothing starts and nothing grows.
        retention: how long what was captured is kept.
    """

    app: AppRef
    configuration: Configuration
    metrics: tuple[Metric, ...]
    policy: Policy
    after: dict[Layer, tuple[Layer, ...]]
    sanitize: SanitizeSettings
    data: Path
    recording: Path | None
    file: Path
    models: tuple[ModelFacts, ...] = ()
    notify: tuple[Target, ...] = ()
    public_url: str | None = None
    freeze: tuple[Window, ...] = ()
    retention: Retention = field(default_factory=Retention)


def load(path: Path) -> AppSpec:
    """Read ``inchworm.yaml`` and the files that it names.

    Raises:
        ConfigError: for the first problem, with its file and line; the hint lists up to five others.
    """
    problems = Problems()
    try:
        text = read_text(path)
    except UnreadableError as error:
        missing = isinstance(error.__cause__, FileNotFoundError)
        raise ConfigError(
            error.why, file=str(path), line=error.line, hint=INIT if missing else None
        ) from error
    document = parse(text, file=str(path), problems=problems)
    if not problems.found and document.value is None:
        problems.add("the file is empty", file=str(path), hint=INIT)
    problems.stop()
    said: ConfigFile | None = None
    try:
        said = ConfigFile.model_validate(document.value)
    except ValidationError as error:
        translate(error, document, problems)
    if said is None:
        # Raised out here, so that pydantic's error, which holds the values, is no part of a traceback.
        raise problems.error()
    return _Reading(path=path, said=said, document=document, problems=problems).spec()


@dataclass(slots=True, kw_only=True)
class _Reading:
    """A file of the right shape on its way to values."""

    path: Path
    said: ConfigFile
    document: Document
    problems: Problems

    def spec(self) -> AppSpec:
        app = self._app()
        layers = self._layers()
        metrics = [self._metric(name, entry) for name, entry in self.said.metrics.items()]
        ladder = stages(self.said.rollout, self._wrong)
        if self.said.rollout.holdout > LARGEST_HOLDOUT:
            self._wrong(("rollout", "holdout"), f"is more than {100 * LARGEST_HOLDOUT:g}%")
        if not self.said.rollout.user_window:
            self._wrong(("rollout", "user_window"), "is nothing; say how long, as in 24h")
        alpha = self.said.rollout.alpha
        if 0 < alpha.pause <= alpha.harm_fast + alpha.harm_judged:
            rolls_back = f"{alpha.harm_fast + alpha.harm_judged:g}"
            self._wrong(
                ("rollout", "alpha", "pause"),
                f"must be more than {rolls_back}, at which harm rolls back; 0 for never",
            )
        freeze = windows(self.said.rollout.freeze, self._wrong)
        agreed = approvals(self.said.rollout.approvals, ladder, self._wrong)
        rates = judging(self.said.rollout.judging, self._wrong)
        losses = loss_budget(self.said.rollout.loss_budget, self._wrong)
        after = self._after()
        sanitize = self._sanitize(self.said.sanitize)
        notify = self._notify()
        models = facts(self.said.models, self.document, self.problems)
        retention = self.said.retention.value(self._wrong)
        for key in ("data", "recording"):
            if "\0" in (getattr(self.said, key) or ""):
                self._wrong((key,), "is no path")
        self.problems.stop()
        rollout = self.said.rollout
        order = list(Role)
        return AppSpec(
            app=app,
            configuration=Configuration.of(layers),
            metrics=tuple(sorted((m for m in metrics if m is not None), key=lambda m: order.index(m.role))),
            policy=Policy(
                unit=UnitKind(self.said.unit),
                stages=ladder,
                soak_s=rollout.soak,
                holdback=rollout.holdback,
                alpha_harm_fast=rollout.alpha.harm_fast,
                alpha_harm_judged=rollout.alpha.harm_judged,
                alpha_expand=rollout.alpha.expand,
                alpha_ratio=rollout.alpha.ratio,
                alpha_pause=rollout.alpha.pause,
                maturation_s=rollout.maturation,
                gate=rollout.gate,
                gate_margin_factor=rollout.gate_margin_factor,
                hash_version=HASHES[rollout.hash],
                holdout=rollout.holdout,
                user_window_s=rollout.user_window,
                maturation_judged_s=rollout.maturation_judged,
                judging=rates,
                approvals=agreed,
                loss_budget=losses,
            ),
            freeze=freeze,
            retention=retention,
            after=after,
            sanitize=sanitize,
            data=self.path.parent / self.said.data,
            recording=None if self.said.recording is None else self.path.parent / self.said.recording,
            notify=notify,
            public_url=self.said.public_url,
            file=self.path,
            models=models,
        )

    def _notify(self) -> tuple[Target, ...]:
        targets = tuple(entry.target() for entry in self.said.notify)
        for place, one in enumerate(targets):
            if one.key in {before.key for before in targets[:place]}:
                self._wrong(("notify", place, "url"), "is named twice: put all its events into one entry")
        return targets

    def _wrong(self, path: KeyPath, what: str, hint: str | None = None) -> None:
        self.problems.add(
            f"{dotted(path)} {what}", file=self.document.file, line=self.document.line(path), hint=hint
        )

    def _app(self) -> AppRef:
        text = self.said.app
        try:
            if text.isprintable() and text == text.strip():
                return AppRef.parse(text)
        except InputError:
            pass
        self._wrong(("app",), "must be NAME/ENVIRONMENT, e.g. shop-support/production")
        return AppRef(app="app", environment="production")

    def _layers(self) -> dict[str, dict[str, Any]]:
        values: dict[str, dict[str, Any]] = self.said.layers.model_dump(exclude_unset=True)
        included = Included(document=self.document, folder=self.path.parent, problems=self.problems)
        for name, include in (("prompt", included.prompt), ("tools", included.tools)):
            layer = values.get(name, {})
            include(("layers", name), layer)
            for call, own in layer.get("calls", {}).items():
                include(("layers", name, "calls", call), own)
        return {layer.value: values.get(layer.value, {}) for layer in LAYERS}

    def _metric(self, name: str, entry: MetricEntry) -> Metric | None:
        path: KeyPath = ("metrics", name)
        before = len(self.problems.found)
        if _METRIC.fullmatch(name) is None:
            self._wrong(
                path, "must be named by letters, digits, hyphens and underscores, with a letter first"
            )
        roles = [role for role in Role if getattr(entry, role) is True]
        for role in Role:
            if getattr(entry, role) is False:
                self._wrong((*path, role.value), "is true, or left out")
        if len(roles) != 1:
            self._wrong(path, "needs exactly one of goal: true, guardrail: true and signal: true")
        source = entry.source(lambda key, what: self._wrong(path if key is None else (*path, key), what))
        harm = entry.margin / 2 if entry.harm_margin is None else entry.harm_margin
        if entry.margin == 0:
            self._wrong(
                (*path, "margin"), "must be more than 0: no number of cases shows that nothing is lost"
            )
        elif harm > entry.margin:
            self._wrong((*path, "harm_margin"), f"must be at most the margin, {entry.margin:g}")
        if len(self.problems.found) > before:
            return None
        metric = Metric(
            name=name,
            source=source,
            role=roles[0],
            clock=entry.known_by(),
            margin=entry.margin,
            harm_margin=harm,
            absence=entry.if_missing(),
        )
        try:
            score.validate(metric)
        except UsageError as error:
            # It names the metric in front; here its place does.
            self._wrong(path, f"is wrong: {error.message.removeprefix(f'metric {name}: ')}", error.hint)
            return None
        except (TypeError, OverflowError, RecursionError):  # of an argument that no check foresees
            self._wrong(path, "is wrong: the argument of its check is none that the check can read")
            return None
        return metric

    def _after(self) -> dict[Layer, tuple[Layer, ...]]:
        after = {
            Layer(layer): tuple(dict.fromkeys(map(Layer, needed)))
            for layer, needed in self.said.rollout.after.items()
        }
        try:
            TopologicalSorter(after).prepare()
        except CycleError as error:
            circle: list[Layer] = error.args[1]
            self._wrong(("rollout", "after"), f"goes in a circle: {' after '.join(reversed(circle))}")
        return after

    def _sanitize(self, said: Sanitize) -> SanitizeSettings:
        custom: list[CustomPattern] = []
        for kind, expression in said.custom.items():
            path: KeyPath = ("sanitize", "custom", kind)
            if kind in set(Kind):
                self._wrong(path, "has the name of a built-in kind: choose another")
                continue
            try:
                custom.append(CustomPattern(kind=kind, expression=expression))
            except ConfigError as error:
                self._wrong(path, f"is wrong: {error.message.rstrip('.')}", error.hint)
            except (OverflowError, RecursionError):  # of Python's regular expressions
                self._wrong(path, "is no regular expression that can be used: a number in it is too large")
        return SanitizeSettings(
            kinds=tuple(kind for kind in Kind if kind in said.kinds), custom=tuple(custom)
        )
