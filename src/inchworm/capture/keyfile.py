"""The installation's key: from the environment, or 32 bytes in the data directory, for its owner alone."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from inchworm.domain.errors import StoreError, UsageError
from inchworm.domain.keys import KEY_BYTES

KEY = "secret.key"
"""Name of the file in the data directory."""
VARIABLE = "INCHWORM_KEY"
"""The environment variable that is used instead of the file, if it is set: 64 hexadecimal digits."""
_HEX = re.compile(r"[0-9a-fA-F]{64}")


def master_key(data: Path) -> bytes:
    """The installation's key, made at first use; :data:`~inchworm.domain.keys.KEY_BYTES` bytes.

    Args:
        data: the data directory; it is made too if the key begins it.

    Raises:
        UsageError: if :data:`VARIABLE` is set to something else than a key; the value is not repeated.
        StoreError: if the file cannot be read or made, or is damaged.
    """
    given = os.environ.get(VARIABLE)
    if given is not None:
        if _HEX.fullmatch(given) is None:
            raise UsageError(
                f"{VARIABLE} is set, and holds no key of {2 * KEY_BYTES} hexadecimal digits",
                hint=f"unset it to use the file {KEY}, or make a key: openssl rand -hex {KEY_BYTES}",
            )
        return bytes.fromhex(given)
    path = data / KEY
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"the key {path} cannot be read or written: {error.strerror}",
            hint="make it readable for this user; without it pseudonyms would change",
        ) from error
    if len(key) != KEY_BYTES:  # with a key that is cut short, anybody could try addresses out
        raise StoreError(f"the key {path} is damaged", hint="restore it from a backup")
    return key


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(prefix=f"{KEY}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was first; its key counts
            os.link(name, path)
    finally:
        Path(name).unlink()
