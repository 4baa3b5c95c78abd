"""The audit: how much was found, of what kind, by which detector. Counts only, never a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from inchworm.sanitize.findings import Finding


def _empty() -> Mapping[tuple[str, str], int]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the sanitizer did. Reports add, so that the reports of shards merge into one."""

    found: Mapping[tuple[str, str], int] = field(default_factory=_empty)
    """Findings by (kind, detector)."""
    texts: int = 0
    """Texts that were looked at: every string of a value counts, keys too."""
    units: int = 0
    """Units (conversations, sessions) that were begun."""

    @classmethod
    def of(cls, findings: Iterable[Finding], *, texts: int = 0, units: int = 0) -> Report:
        """Count findings."""
        found = list(findings)
        if not found:
            return cls(texts=texts, units=units)
        counted = Counter((finding.kind, finding.detector) for finding in found)
        return cls(found=MappingProxyType(dict(sorted(counted.items()))), texts=texts, units=units)

    @property
    def by_kind(self) -> Counter[str]:
        """Findings by kind."""
        counted: Counter[str] = Counter()
        for (kind, _), number in self.found.items():
            counted[kind] += number
        return counted

    @property
    def by_detector(self) -> Counter[str]:
        """Findings by detector."""
        counted: Counter[str] = Counter()
        for (_, detector), number in self.found.items():
            counted[detector] += number
        return counted

    @property
    def total(self) -> int:
        """All findings."""
        return sum(self.found.values())

    def __add__(self, other: Report) -> Report:
        """Merge two reports."""
        if not other.found:
            return Report(found=self.found, texts=self.texts + other.texts, units=self.units + other.units)
        merged = Counter(dict(self.found)) + Counter(dict(other.found))
        return Report(
            found=MappingProxyType(dict(sorted(merged.items()))),
            texts=self.texts + other.texts,
            units=self.units + other.units,
        )
