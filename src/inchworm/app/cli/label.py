"""``inchworm label``: what people ask about, and how well it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from inchworm.app import asjson
from inchworm.app.cli.output import emit, heading, note, say, table, width
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.texts import one_line
from inchworm.domain.wording import counted, percent

if TYPE_CHECKING:
    from inchworm.app.loop.topics import Picture
    from inchworm.label.clusters import ClusterQuality

_ODD = 10


@click.command("label")
@click.option(
    "--odd",
    default=_ODD,
    show_default=True,
    type=click.IntRange(0),
    help="How many that fit nothing to list.",
)
@json_option
@pass_session
def command(session: Session, *, odd: int, as_json: bool) -> None:
    """Find topics and what fits none.

    Topics are fitted on the stored interactions and then stay as they are: what comes in later is assigned to
    them, until you run this again.
    """
    from inchworm.app.loop.topics import fit

    note("looking for topics …")
    with session.house() as house:
        picture = fit(house)
        app = str(house.app)
    if as_json:
        emit({"app": app, **asjson.picture(picture, odd)})
    else:
        say(*_lines(picture, odd))


def _lines(picture: Picture, odd: int) -> list[str]:
    total = max(picture.interactions, 1)
    by = f', by "{picture.metric}"' if picture.metric else ""
    lines = [
        heading(
            f"{counted(len(picture.topics), 'topic')} in {counted(picture.interactions, 'interaction')}{by}"
        ),
        "",
    ]
    rows = [
        [
            one_line(topic.cluster.name, 36),
            _share(topic.messages, total),
            f"{topic.messages:,}",
            *_quality(topic),
        ]
        for topic in picture.topics
    ]
    if picture.unclustered:
        rows.append(["near no topic", _share(picture.unclustered, total), f"{picture.unclustered:,}", "", ""])
    lines += table(rows, heads=["topic", "share", "n", "pass rate", "95 % interval"], right={1, 2, 3})
    if picture.oddities and odd:
        lines += [
            "",
            heading(f"{counted(len(picture.oddities), 'message')} that fit nothing, the oddest first"),
            "",
        ]
        rows = []
        for one in picture.oddities[:odd]:
            times = f" (seen {one.seen:,} times)" if one.seen > 1 else ""
            rows.append(
                [
                    one.trace_id[:16],
                    one_line(one.text, width() // 3),
                    one_line("; ".join(one.anomaly.reasons)) + times,
                ]
            )
        lines += table(rows, heads=["trace", "says", "why"])
    return [*lines, "", "Next: inchworm evalset build"]


def _share(part: int, total: int) -> str:
    return f"{100 * part / total:.1f} %"


def _quality(topic: ClusterQuality) -> list[str]:
    from inchworm.label.clusters import PassRate

    quality = topic.quality
    if not isinstance(quality, PassRate):
        return ["not scored", one_line(quality.reason)]
    of = "" if quality.scored == topic.messages else f", {quality.scored:,} scored"
    return [percent(quality.rate), f"({100 * quality.low:.1f} … {100 * quality.high:.1f}){of}"]
