"""What callers say of a unit before it is assigned, as the header ``inchworm-attributes`` has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import quote, unquote

from inchworm.domain.attributes import as_text

LONGEST_HEADER = 4_096
"""Characters of a whole header; of a longer one nothing is read."""


def from_header(wanted: Collection[str], header: str) -> dict[str, str]:
    """The wanted ones of ``NAME=VALUE,NAME=VALUE``, both sides percent-encoded (RFC 3986, section 2.1).

    Of a name that comes twice, the first counts.
    """
    found: dict[str, str] = {}
    if len(header) > LONGEST_HEADER:
        return found
    for pair in header.split(","):
        name, equals, value = pair.strip().partition("=")
        if equals and (name := unquote(name.strip())) in wanted and name not in found:
            read = as_text(unquote(value.strip()))
            if read is not None:
                found[name] = read
    return found


def to_header(attributes: Mapping[str, str]) -> str:
    """The inverse of :func:`from_header`, in the order of the names."""
    return ",".join(
        f"{quote(name, safe='', errors='replace')}={quote(value, safe='', errors='replace')}"
        for name, value in sorted(attributes.items())
    )
