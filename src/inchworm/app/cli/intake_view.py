"""What became of an import, for people to read."""

from __future__ import annotations

from typing import Any

from inchworm.app.cli.output import paragraph, table, when
from inchworm.app.texts import printable
from inchworm.domain.wording import counted

_REMARKS = {
    "without_content": "do not say what was asked: they count, and make no cases",
    "without_time": "do not say when: they count as of this import",
    "derived_units": "name no session and no user: each conversation counts as one unit",
}


def lines_of(one: dict[str, Any]) -> list[str]:
    """What became of one source."""
    name = printable(one["file"])
    if one["known"]:
        return [f"{name} was read in on {when(one['at'])}; nothing to do. To read it again: --again"]
    refused = sum(one["refused"].values())
    rows = [
        [f"{one['new']:,}", "stored"],
        [f"{one['anew']:,}", "known already, and told anew"],
        [f"{one['duplicate']:,}", "known already"],
        [f"{one['rejected']:,}", "rejected: could not be read"],
        [f"{one['spans_rejected']:,}", "spans rejected in lines of which others were read"],
        [f"{refused:,}", "refused: not stored, for the reasons below"],
        [f"{one['spans']:,}", "spans"],
        [f"{one['spans_known']:,}", "spans known already"],
        [f"{one['scores']:,}", "scores"],
        [f"{one['scores_known']:,}", "scores known already"],
    ]
    what = "record" if one["form"] == "langfuse-server" else "row" if _is_table(one) else "line"
    lines = [f"{name}: {counted(one['lines'], what)}"]
    if one["resumed"]:
        lines[0] += f", of which {one['resumed']:,} were read before it was interrupted"
    lines += table([row for position, row in enumerate(rows) if position == 0 or row[0] != "0"], right={0})
    if one["found"]:
        kinds = ", ".join(f"{kind} {number:,}" for kind, number in one["found"].items())
        lines += paragraph(f"Replaced in {counted(one['sanitized'], 'interaction')}: {kinds}.")
    elif one["new"]:
        lines.append("No personal data and no secrets were found.")
    remarks = [[f"{one[key]:,}", text] for key, text in _REMARKS.items() if one[key]]
    lines += table(remarks, right={0})
    if one["first_rejected"]:
        lines += ["Rejected:"]
        lines += table(
            [[f"line {bad['line']:,}", printable(bad["reason"])] for bad in one["first_rejected"]], right={0}
        )
        more = one["rejected"] + one["spans_rejected"] - len(one["first_rejected"])
        if more > 0:
            lines.append(f"  and {more:,} more: --rejects FILE lists all")
    if refused:
        lines += ["Refused:"]
        lines += table([[f"{number:,}", printable(why)] for why, number in one["refused"].items()], right={0})
    return lines


def _is_table(one: dict[str, Any]) -> bool:
    return one["form"] in {"csv", "parquet"}
