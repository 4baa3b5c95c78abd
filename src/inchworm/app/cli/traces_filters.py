"""The options that say which interactions are meant: of the list, of its facets, of what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from inchworm.app.filters import OUTCOMES
from inchworm.domain.span import SpanKind
from inchworm.domain.trace import Arm

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS = (
    click.option("--text", metavar="WORDS", help="Whose inputs, answer or reference contain these words."),
    click.option(
        "--since", metavar="WHEN", help="Started at that time or later: 2h, 7d, or 2026-11-09T14:00."
    ),
    click.option("--until", metavar="WHEN", help="Started before that time."),
    click.option("--outcome", type=click.Choice(OUTCOMES), help="With this outcome."),
    click.option("--not-ok", is_flag=True, help="That failed or errored."),
    click.option("--finish", metavar="WORD", help="Ended with this word of the provider's: stop, length."),
    click.option(
        "--configuration", metavar="ID", help="Answered by this configuration: stable, declared or an id."
    ),
    click.option("--arm", type=click.Choice([arm.value for arm in Arm]), help="Of this arm of a rollout."),
    click.option("--rollout", metavar="ID", help="Part of this rollout."),
    click.option("--cluster", metavar="NAME", help="In this topic."),
    click.option("--model", metavar="NAME", help="Answered by this model."),
    click.option("--call", metavar="NAME", help="Of the app's call with this name."),
    click.option("--unit", metavar="ID", help="Of this session, user or request."),
    click.option("--source", metavar="NAME", help="That came this way: a wire, or a dialect of telemetry."),
    click.option("--slower", metavar="TIME", help="That took so long or longer: 2s, 800ms."),
    click.option("--below", metavar="METRIC=VALUE", help="Whose latest score on the metric is below it."),
    click.option("--between", metavar="METRIC=LOW..HIGH", help="Whose latest score lies there."),
    click.option("--scored/--unscored", default=None, help="With any score, or with none."),
    click.option("--attribute", metavar="NAME=VALUE", help="With this attribute."),
    click.option(
        "--kind", type=click.Choice([kind.value for kind in SpanKind]), help="With a span of this kind."
    ),
    click.option("--span", metavar="NAME", help="With a span of this name."),
    click.option("--incomplete/--complete", default=None, help="Of which spans are missing, or none."),
    click.option("--shadow", is_flag=True, help="Answers to mirrored calls, which nobody saw, instead."),
)


def filter_options(command: F) -> F:
    """Every filter of interactions, handed to the command as :class:`~inchworm.app.filters.Said`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
