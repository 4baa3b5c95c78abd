"""Telemetry of other people's clients, to Inchworm's spans, and spans to interactions. Pure.

A body is checked where it arrives (:func:`check`, cheap), spooled as it came, and read later (:func:`read`).
What is known of a trace by then is its interaction (:func:`fold`). What is read from where:
docs/telemetry-dialects.md.
"""

from inchworm.capture.telemetry.bodies import DIALECTS, check, check_clock, read, read_each
from inchworm.capture.telemetry.folding import fold
from inchworm.capture.telemetry.refused import Refused

__all__ = ["DIALECTS", "Refused", "check", "check_clock", "fold", "read", "read_each"]
