"""How verdicts are said, in decisions and in reports."""

from __future__ import annotations

from inchworm.domain.verdict import Verdict

WORDS = {
    Verdict.PASS: "Pass",
    Verdict.FAIL: "Fail",
    Verdict.INCONCLUSIVE: "Inconclusive",
    Verdict.NO_DATA: "No data",
    Verdict.ERRORED: "Errored",
    Verdict.CANCELLED: "Cancelled",
}
