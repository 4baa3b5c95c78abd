"""Answers that a model gave once, read from a file: real, free of charge, and the same every time.

The file, ``recording/1``, is gzip (RFC 1952) over JSON Lines. The first line is a header
``{format, model, recorded_at, machine, note}``, every other one
``{digest, samples: [{text, finish_reason, latency_ms, input_tokens, output_tokens}, ...]}``.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inchworm.domain.canonical import canonical
from inchworm.domain.errors import InputError, ProviderError
from inchworm.domain.ids import short
from inchworm.domain.rendering import ModelRequest
from inchworm.domain.trace import Usage
from inchworm.providers.upstream import Completion, Reply, in_time

FORMAT = "recording/1"
_HEADER_KEYS = ("model", "recorded_at", "machine", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Where a recording comes from; all are plain text.

    Attributes:
        model: which model answered, with its quantization.
        recorded_at: when, ISO 8601.
        machine: on what hardware, because latencies depend on it.
        note: how to record it again.
    """

    model: str
    recorded_at: str
    machine: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Recorded answers by the digest of the request; an ``Upstream``.

    Attributes:
        header: where they come from.
        answers: samples in the order they were taken, by :meth:`ModelRequest.digest`.
    """

    header: Header
    answers: Mapping[str, Sequence[Completion]]

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read a recording.

        Raises:
            InputError: naming the file and the line, if it is no recording, of another version, cut
                off, or says something twice.
        """
        try:
            text = gzip.decompress(path.read_bytes()).decode()
        except FileNotFoundError as error:
            raise InputError(f"there is no recording {path}") from error
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            msg = f"{path} is no recording: gzip says {error}"
            raise InputError(msg, hint="it may be cut off; fetch or record it again") from error
        # Not splitlines(): answers may hold U+2028 and its like, which JSON does not escape.
        lines = text.removesuffix("\n").split("\n")
        if not text:
            raise InputError(f"{path}:1: the recording is empty")
        header = _header(path, lines[0])
        answers: dict[str, tuple[Completion, ...]] = {}
        for number, line in enumerate(lines[1:], start=2):
            digest, samples = _answer(path, number, line)
            if digest in answers:
                raise InputError(f"{path}:{number}: the request {short(digest)} is recorded twice")
            answers[digest] = samples
        return cls(header=header, answers=answers)

    def write(self, path: Path) -> None:
        """Write the recording; the same answers in any order give the same bytes (with the same zlib)."""
        rows: list[dict[str, Any]] = [{"format": FORMAT, **asdict(self.header)}]
        rows += [
            {"digest": digest, "samples": [_plain(sample) for sample in self.answers[digest]]}
            for digest in sorted(self.answers)
        ]
        text = "".join(f"{canonical(row)}\n" for row in rows)
        path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))

    async def complete(self, request: ModelRequest, *, sample: int) -> Reply:
        """The recorded answer; its recorded latency is held against the deadline, nobody waits.

        A request without a temperature, or with temperature 0, has one answer: its first sample stands
        for the others if fewer were recorded.

        Raises:
            ProviderError: if that request, or that many samples of it, were not recorded.
        """
        digest = request.digest()
        samples = self.answers.get(digest, ())
        if sample >= len(samples) and samples and not request.parameters.get("temperature"):
            sample = 0
        if sample >= len(samples):
            what = f"sample {sample} of" if samples else "the request"
            msg = f"no recording of {what} {short(digest)} to {request.target.get('name', 'no model')}"
            raise ProviderError(
                msg, hint="record it with the recorder that made this file, or ask the model itself"
            )
        return in_time(samples[sample], request.deadline_s)

    async def close(self) -> None:
        """Nothing is held open."""


def _plain(sample: Completion) -> dict[str, Any]:
    return {
        "text": sample.text,
        "finish_reason": sample.finish_reason,
        "latency_ms": sample.latency_ms,
        "input_tokens": sample.usage.input_tokens,
        "output_tokens": sample.usage.output_tokens,
    }


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{number}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}:{number}: a JSON object is expected, not {type(value).__name__}")
    return value


def _header(path: Path, line: str) -> Header:
    row = _object(path, 1, line)
    if row.get("format") != FORMAT:
        msg = f"{path}:1: the recording has format {row.get('format')!r}, this version reads {FORMAT}"
        raise InputError(msg)
    wrong = [key for key in _HEADER_KEYS if not isinstance(row.get(key), str)]
    if wrong:
        raise InputError(f"{path}:1: the header needs {' and '.join(wrong)} as text")
    return Header(**{key: row[key] for key in _HEADER_KEYS})


def _answer(path: Path, number: int, line: str) -> tuple[str, tuple[Completion, ...]]:
    row = _object(path, number, line)
    match row:
        case {"digest": str(digest), "samples": [_, *_] as samples}:
            return digest, tuple(_sample(path, number, sample) for sample in samples)
    raise InputError(f'{path}:{number}: a line needs "digest" and at least one of "samples"')


def _sample(path: Path, number: int, value: Any) -> Completion:
    match value:
        case {
            "text": str(text),
            "finish_reason": None | str() as finish,
            "latency_ms": int() | float() as latency,
            "input_tokens": None | int() as read,
            "output_tokens": None | int() as written,
        } if math.isfinite(latency) and latency >= 0:
            usage = Usage(input_tokens=read, output_tokens=written)
            return Completion(text=text, finish_reason=finish, latency_ms=float(latency), usage=usage)
    msg = (
        f"{path}:{number}: a sample has text, finish_reason (or null), latency_ms >= 0, "
        "input_tokens and output_tokens (or null)"
    )
    raise InputError(msg)
