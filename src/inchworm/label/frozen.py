"""Fitted state as bytes: arrays in an npz container, never pickle, with a kind and a version inside."""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inchworm.domain.errors import InputError

_KIND: Final = "inchworm"


class FrozenStateError(InputError):
    """Saved state of the label room cannot be read: damaged, of another kind, or of another version."""


def pack(kind: str, version: int, arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Put arrays into bytes; equal arrays give equal bytes (npz members carry no time).

    Args:
        kind: what the state is, checked when it is read.
        version: of this kind's form.
        arrays: by name; of numbers only.
    """
    header = json.dumps({"kind": kind, "version": version}, sort_keys=True).encode()
    members: dict[str, Any] = {_KIND: np.frombuffer(header, dtype=np.uint8), **arrays}
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **members)
    return out.getvalue()


def unpack(data: bytes, kind: str, version: int, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """Read what :func:`pack` wrote.

    Args:
        data: the bytes.
        kind: the kind that must stand in them.
        version: the version that must stand in them.
        names: the arrays that must be there.

    Raises:
        FrozenStateError: if anything of that is not so.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as members:
            header = json.loads(members[_KIND].tobytes())
            found = (header["kind"], header["version"])
            if found != (kind, version):
                msg = f"this is {found[0]} version {found[1]}, expected {kind} version {version}"
                raise FrozenStateError(msg, hint="fit it again with this release")
            return {name: members[name] for name in names}
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        msg = f"these bytes are no saved {kind} ({error})"
        raise FrozenStateError(msg, hint="fit it again") from error


def strings_to(strings: Iterable[str]) -> npt.NDArray[np.uint8]:
    """Strings as the UTF-8 bytes of a JSON list."""
    return np.frombuffer(json.dumps(list(strings), ensure_ascii=False).encode(), dtype=np.uint8)


def strings_from(array: npt.NDArray[Any]) -> tuple[str, ...]:
    """Undo :func:`strings_to`."""
    return tuple(json.loads(array.tobytes()))
