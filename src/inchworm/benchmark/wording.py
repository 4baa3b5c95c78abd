"""How numbers and verdicts are said, in decisions and in reports."""

from __future__ import annotations

from inchworm.domain.benchmark import Interval
from inchworm.domain.verdict import Verdict

WORDS = {
    Verdict.PASS: "Pass",
    Verdict.FAIL: "Fail",
    Verdict.INCONCLUSIVE: "Inconclusive",
    Verdict.NO_DATA: "No data",
    Verdict.ERRORED: "Errored",
    Verdict.CANCELLED: "Cancelled",
}


def points(value: float) -> str:
    """A difference of shares in percentage points, with its sign: ``−1.1``, ``+0.4``, ``0.0``."""
    text = f"{abs(value) * 100:.1f}"
    if text == "0.0":
        return text
    return ("−" if value < 0 else "+") + text


def interval(effect: Interval) -> str:
    """``−1.1 points (−3.4 … +1.2)``."""
    return f"{points(effect.estimate)} points ({points(effect.low)} … {points(effect.high)})"


def margin(value: float) -> str:
    """A non-inferiority margin as the loss it allows: ``−3``."""
    return f"−{round(value * 100, 2):g}"


def percent(value: float) -> str:
    """A share: ``93.0 %``."""
    return f"{value * 100:.1f} %"


def usd(value: float) -> str:
    """US dollars: ``1.20 USD``, and ``0.0034 USD`` where cents say nothing."""
    return f"{value:,.2f} USD" if value == 0 or value >= 0.05 else f"{value:.2g} USD"


def counted(number: int, word: str) -> str:
    """``1 case``, ``410 cases``."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
