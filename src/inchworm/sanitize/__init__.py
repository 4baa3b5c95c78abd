"""Step 2, sanitize: personal data and secrets out, before anything reaches a store."""

from __future__ import annotations

from inchworm.sanitize.audit import Report
from inchworm.sanitize.custom import CustomPattern
from inchworm.sanitize.detect import DETECTORS, detect, resolve
from inchworm.sanitize.errors import UnsanitizableError
from inchworm.sanitize.findings import Detector, Finding, Kind
from inchworm.sanitize.memo import Memo
from inchworm.sanitize.sanitizer import Sanitized, SanitizedValue, Sanitizer, UnitSanitizer
from inchworm.sanitize.values import Json

__all__ = [
    "DETECTORS",
    "CustomPattern",
    "Detector",
    "Finding",
    "Json",
    "Kind",
    "Memo",
    "Report",
    "Sanitized",
    "SanitizedValue",
    "Sanitizer",
    "UnitSanitizer",
    "UnsanitizableError",
    "detect",
    "resolve",
]
