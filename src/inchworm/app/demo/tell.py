"""How the demo talks: a story in chapters, nothing wider than 96 columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from inchworm.domain.benchmark import Benchmark
from inchworm.domain.verdict import Verdict
from inchworm.domain.wording import interval, percent, points

WIDTH = 96
_NOW_AND_THEN = 100
_WORDS = {
    Verdict.PASS: "passes",
    Verdict.FAIL: "FAILS",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.NO_DATA: "has no data",
    Verdict.ERRORED: "could not be measured",
    Verdict.CANCELLED: "was cancelled",
}


def moment(at: float) -> str:
    """``Tue 17 Nov 14:30``, in UTC."""
    time = datetime.fromtimestamp(at, UTC)
    return f"{time:%a} {time.day} {time:%b %H:%M}"


class Teller:
    """Writes the story to a console."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = Console(highlight=False, width=None) if console is None else console
        self._progress = Console(stderr=True, highlight=False)

    def chapter(self, number: int, title: str, what: str) -> None:
        """Begin a chapter."""
        self.console.print()
        self._lines(f"{number}  ", Text.assemble((title, "bold"), ("  " + what, "dim")))

    def say(self, text: str = "", style: str = "") -> None:
        """One paragraph, indented."""
        self._lines("   ", Text(text, style=style))

    def asked(self, count: int) -> None:
        """The live model has answered one more question; said to people who wait, now and then."""
        if count % _NOW_AND_THEN == 0:
            self._progress.print(f"   {count:,} questions answered by the model", style="dim")

    def address(self, text: str, url: str) -> None:
        """Where to look: an address on a line of its own, whole however long it is."""
        self.say(text, style="bold")
        self.console.print(Text(f"   {url}"), soft_wrap=True)

    def entry(self, when: str, what: str) -> None:
        """One line of a log: the moment, and what happened then."""
        self._lines("   ", Text.assemble((f"{when}  ", "dim"), what), hang=len(when) + 2)

    def _lines(self, lead: str, text: Text, *, hang: int = 0) -> None:
        width = max(min(self.console.width, WIDTH) - len(lead) - hang, 20)
        head, rest = text[:hang], text[hang:]
        for place, line in enumerate(rest.wrap(self.console, width) if rest.plain else [Text()]):
            line.rstrip()
            first = Text.assemble(lead, head) if place == 0 else Text(" " * (len(lead) + hang))
            self.console.print(Text.assemble(first, line), soft_wrap=True)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> None:
        """A table without lines; the first ``left`` columns are text, the others numbers."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
        for place, head in enumerate(heads):
            table.add_column(head, justify="left" if place < left else "right", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        with self.console.capture() as captured:
            self.console.print(table, width=min(self.console.width, WIDTH) - 3)
        for line in captured.get().rstrip("\n").split("\n"):
            self.console.print(Text.from_ansi("   " + line.rstrip()))

    def benchmark(self, benchmark: Benchmark) -> None:
        """A benchmark's verdict and comparisons."""
        self.table(
            [f"{benchmark.eval_set}", "before", "after", "difference", "margin", ""],
            [
                [
                    item.metric,
                    "—" if item.base is None else percent(item.base),
                    "—" if item.candidate is None else percent(item.candidate),
                    "no data" if item.effect is None else interval(item.effect),
                    points(-item.margin),
                    _WORDS[item.verdict],
                ]
                for item in benchmark.comparisons
            ],
        )
