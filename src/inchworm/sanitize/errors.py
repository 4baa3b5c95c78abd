"""What the sanitizer refuses, so that it never lets through what it could not read.

::

    InputError
    └── UnsanitizableError    a value, or a text, that cannot be sanitized and so must not be stored

No message carries a raw value.
"""

from __future__ import annotations

from inchworm.domain.errors import InputError


class UnsanitizableError(InputError):
    """A value cannot be sanitized; the caller must drop it, never store it as it is."""
