"""One metric, as ``inchworm.yaml`` writes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from inchworm.app.config.layers import Keys
from inchworm.app.config.scalars import MAPPING, TEXT, Builtin, CheckCall, CheckName, Share, either, word
from inchworm.domain.feedback import scale_trouble
from inchworm.domain.metric import Absence, Clock

DEFAULT_MARGIN = 0.03
"""The margin of a metric that states none: three points of a hundred."""
_SOURCES = ("check", "builtin", "feedback", "threshold_ms", "cap_usd", "range", "values")


class MetricEntry(Keys):
    """One metric: what computes it, what it decides, and how much loss is acceptable."""

    check: (
        Annotated[
            Annotated[CheckName, TEXT] | Annotated[CheckCall, MAPPING],
            either("the name of a check, or one with its argument, as in {max_words: 120}"),
        ]
        | None
    ) = Field(default=None, description="A check of the answer: its name, or its name with its argument.")
    builtin: Builtin | None = Field(default=None, description="A metric that comes with every call.")
    feedback: bool | None = Field(
        default=None,
        description="true: nobody computes it; programs and people send it (docs/telemetry.md, scores).",
    )
    range: list[float] | None = Field(
        default=None,
        min_length=2,
        max_length=2,
        description="For feedback: its scale, the worst value and the best, as in [1, 5]; [0, 1] if "
        "left out.",
    )
    values: dict[str, float] | None = Field(
        default=None,
        description="For feedback in words: what each is worth, from 0 to 1, as in {good: 1, bad: 0}.",
    )
    threshold_ms: float | None = Field(
        default=None,
        gt=0,
        description="For latency_p95: milliseconds that an answer may take; if left out, the 95th "
        "percentile of the baseline.",
    )
    cap_usd: float | None = Field(
        default=None,
        gt=0,
        description="For cost: US dollars per call that count as the worst value, 0. Without it, "
        "the 99.9th percentile of the seven days before a rollout or benchmark.",
    )
    goal: bool | None = Field(
        default=None, description="true: what the feature is for. Gates like a guardrail."
    )
    guardrail: bool | None = Field(
        default=None, description="true: harm rolls back, and expansion waits for it."
    )
    signal: bool | None = Field(
        default=None, description="true: harm pauses, and expansion does not wait for it."
    )
    margin: Share = Field(
        default=DEFAULT_MARGIN,
        description="Loss that is acceptable at the end, in points of the metric (0.03 or 3%).",
    )
    harm_margin: Share | None = Field(
        default=None,
        description="Loss beyond which evidence of harm is collected; half of the margin if left out.",
    )
    clock: Annotated[str, *word(*Clock)] = Field(
        default=Clock.FAST.value,
        description="How soon the outcome is known: with the answer, or later. Of feedback it is judged if "
        "left out.",
    )
    absence: Annotated[str, *word(*Absence)] = Field(
        default=Absence.FAILURE.value,
        description="What a missing outcome means: a 0, or nothing (then a difference in coverage between "
        "the arms voids the metric). Of feedback it is void if left out.",
    )

    def source(self, wrong: Callable[[str | None, str], None]) -> dict[str, Any]:
        """What computes it, as :class:`inchworm.domain.metric.Metric` says it.

        Args:
            wrong: told what is wrong: of which key, or ``None`` for the whole entry, and what.
        """
        kinds = [one for one in ("check", "builtin", "feedback") if getattr(self, one) is not None]
        if self.feedback is False:
            wrong("feedback", "is true, or left out")
        elif len(kinds) != 1:
            wrong(None, "needs one of check, builtin and feedback: true" + (", and no two" if kinds else ""))
        elif self.feedback is None:
            for key in ("range", "values"):
                if getattr(self, key) is not None:
                    wrong(key, "is for feedback, and this metric is computed")
        else:
            for key in ("threshold_ms", "cap_usd"):
                if getattr(self, key) is not None:
                    wrong(key, "is for a builtin, and this metric is feedback")
        source = {key: said for key in _SOURCES if (said := getattr(self, key)) is not None}
        if (trouble := scale_trouble(source)) is not None:
            wrong(*trouble)
        return source

    def known_by(self) -> Clock:
        """How soon its outcome is known."""
        late = self.feedback and "clock" not in self.model_fields_set
        return Clock.JUDGED if late else Clock(self.clock)

    def if_missing(self) -> Absence:
        """What a missing outcome means; that few people say something is no failure."""
        silent = self.feedback and "absence" not in self.model_fields_set
        return Absence.VOID if silent else Absence(self.absence)
