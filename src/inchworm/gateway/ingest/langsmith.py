"""LangSmith's API: runs and feedback (measured with langsmith 0.15 for Python)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from inchworm.capture.records import Exported, Graded, Record
from inchworm.capture.telemetry import check
from inchworm.domain.errors import InputError
from inchworm.gateway.faults import Fault, FaultError, not_allowed, too_large, unusable, wrong_type
from inchworm.gateway.ingest.asked import JSON, PATIENCE_S, Asked, Said, decoded, too_slow
from inchworm.gateway.ingest.grades import LangsmithFeedback, of_langsmith
from inchworm.gateway.ingest.groups import grouped
from inchworm.gateway.ingest.keeping import Keeper
from inchworm.gateway.ingest.multipart import Form, boundary_of
from inchworm.gateway.ingest.otlp import MOST_RECORD
from inchworm.gateway.metrics import Metrics

DIALECT = "langsmith"
MULTIPART = "multipart/form-data"
_ATTACHMENTS = 8
"""How many times the limit of a body attachments may have; they are not kept."""
_POST, _PATCH, _FEEDBACK = "post", "patch", "feedback"
_FIELDS = frozenset({"inputs", "outputs", "events", "extra", "error", "serialized"})
_INFO = {
    # Clients send feedback among the runs from 0.8.10 on.
    "version": "0.9.0",
    "license_expiration_time": None,
    "instance_flags": {},
    "batch_ingest_config": {
        "use_multipart_endpoint": True,
        "size_limit": 100,
        "size_limit_bytes": 20 << 20,
        "scale_up_qsize_trigger": 1000,
        "scale_up_nthreads_limit": 16,
        "scale_down_nempty_trigger": 4,
    },
}


class _Batch(msgspec.Struct, frozen=True):
    post: list[msgspec.Raw] | None = None
    patch: list[msgspec.Raw] | None = None


_batches = msgspec.json.Decoder(_Batch)
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_feedback = msgspec.json.Decoder(LangsmithFeedback)


@dataclass(slots=True)
class _Read:
    post: list[bytes] = field(default_factory=list)
    patch: list[bytes] = field(default_factory=list)
    feedback: list[Graded] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    spans: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Langsmith:
    """Takes runs and feedback in.

    Attributes:
        keeper: makes them durable.
        metrics: counts them.
    """

    keeper: Keeper
    metrics: Metrics

    async def info(self, asked: Asked) -> Said:
        """What is taken: no zstd."""
        del asked
        return Said.json(_INFO)

    async def multipart(self, asked: Asked) -> Said:
        """Take runs, their members in parts of their own; attachments are counted and left out.

        Raises:
            FaultError: if it cannot be read, or not be kept now.
        """
        if asked.kind != MULTIPART:
            raise FaultError(wrong_type(asked.headers.get("content-type", ""), MULTIPART))
        _not_from_a_page(asked.headers)
        form = await self._form(asked)
        if form.dropped:
            self.metrics.ingest_dropped.add(DIALECT, "attachment", by=form.dropped)
        app, at = str(asked.app.app), asked.at
        parts = form.parts
        if form.held > MOST_RECORD:
            loop = asyncio.get_running_loop()
            read = await loop.run_in_executor(asked.executor, _of_parts, parts, app, at)
        else:
            read = _of_parts(parts, app, at)
        await self._keep(asked, read)
        return Said.json({"message": "Runs batch ingested"}, 202)

    async def batch(self, asked: Asked) -> Said:
        """Take runs as ``{"post": [...], "patch": [...]}``.

        Raises:
            FaultError: as :meth:`multipart`.
        """
        body = await _json(asked)
        read = await asked.work(body, _of_batch)
        await self._keep(asked, read)
        return Said.json({"message": "Runs batch ingested"}, 202)

    async def run(self, asked: Asked) -> Said:
        """Take one run: a new one, or with PATCH more of one that is named in the path.

        Raises:
            FaultError: as :meth:`multipart`.
        """
        body = await _json(asked)
        patched = asked.method == "PATCH"
        id_ = asked.path.rpartition("/")[2] if patched else None
        read = await asked.work(body, lambda whole: _of_run(whole, id_))
        await self._keep(asked, read)
        return Said.json({"message": "Run updated" if patched else "Run created"}, 202)

    async def feedback(self, asked: Asked) -> Said:
        """Take one piece of feedback.

        Raises:
            FaultError: as :meth:`multipart`.
        """
        body = await _json(asked)
        said = decoded(_feedback, body)
        try:
            grade = of_langsmith(said, str(asked.app.app), asked.at)
        except InputError as error:
            raise FaultError(unusable(error.message)) from error
        await self._keep(asked, _Read(feedback=[grade]))
        return Said(body=body)

    async def _keep(self, asked: Asked, read: _Read) -> None:
        app = str(asked.app.app)
        records: list[Record] = [
            Exported(app=app, dialect=DIALECT, body=one, at=asked.at) for one in _bodies(read)
        ]
        await self.keeper.keep([*records, *read.feedback])
        self.metrics.ingested.add(DIALECT, by=read.spans)
        self.metrics.graded.add(DIALECT, by=len(read.feedback))
        if read.wrong:
            self.metrics.ingest_refused.add(DIALECT, "invalid_score", by=len(read.wrong))

    async def _form(self, asked: Asked) -> Form:
        limit = asked.settings.max_body
        try:
            form = Form(
                boundary=boundary_of(asked.headers.get("content-type", "")),
                wanted=lambda name: not name.startswith("attachment."),
                most=limit,
            )
            if asked.headers.get("content-encoding", "identity") not in {"", "identity"}:
                form.feed(await asked.body())
            else:
                await self._feed(asked, form, limit)
            form.close()
        except InputError as error:
            raise FaultError(unusable(f"The form cannot be read: {error.message}.")) from error
        return form

    async def _feed(self, asked: Asked, form: Form, limit: int) -> None:
        size = held = 0
        refused: FaultError | InputError | None = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                async for piece in asked.proto:
                    size += len(piece)
                    if size > _ATTACHMENTS * limit:
                        raise FaultError(too_large(_ATTACHMENTS * limit))
                    if refused is None:
                        try:
                            form.feed(piece)
                            asked.share.take(form.held - held, large=True)
                        except (FaultError, InputError) as error:  # said when all is read: see Asked.body
                            refused = error
                            asked.share.give()
                        held = form.held
        except TimeoutError as error:
            raise FaultError(too_slow()) from error
        if refused is not None:
            raise refused


def _not_from_a_page(headers: Mapping[str, str]) -> None:
    """Refuse what a page of another site sends: for this content type no browser asks beforehand.

    Raises:
        FaultError: if no key is shown, which a page cannot do unasked, and a browser says that it sends.
    """
    shows = any(name in headers for name in ("x-api-key", "authorization", "inchworm-key"))
    if not shows and ("origin" in headers or "sec-fetch-site" in headers):
        raise FaultError(not_allowed())


async def _json(asked: Asked) -> bytes:
    if asked.kind != JSON:
        raise FaultError(wrong_type(asked.headers.get("content-type", ""), JSON))
    return await asked.body()


def _of_parts(parts: list[tuple[str, bytes]], app: str, at: float) -> _Read:
    """Runs and feedback of a form: ``post.ID``, ``patch.ID``, each with ``.FIELD``, and ``feedback.ID``.

    Feedback that cannot be used costs nobody the runs beside it: clients send neither again.

    Raises:
        FaultError: if a part cannot be read.
    """
    runs: dict[tuple[str, str], dict[str, msgspec.Raw]] = {}
    read = _Read()
    for name, content in parts:
        kind, _, rest = name.partition(".")
        id_, _, member = rest.partition(".")
        if not id_ or kind not in {_POST, _PATCH, _FEEDBACK} or (member and member not in _FIELDS):
            raise FaultError(unusable(f"The part {name[:100]!r} is none of runs, nor of feedback."))
        if kind == _FEEDBACK:
            try:
                read.feedback.append(of_langsmith(decoded(_feedback, content), app, at))
            except InputError as error:
                read.wrong.append(f"The part {name[:100]!r} cannot be used: {error.message}.")
            continue
        run = runs.setdefault((kind, id_), {})
        if member:
            run[member] = msgspec.Raw(_sound(name, content))
        else:
            members = decoded(_objects, content)
            run.update(members)
    if read.wrong and not runs and not read.feedback:
        raise FaultError(unusable(read.wrong[0]))
    for (kind, id_), run in runs.items():
        (read.post if kind == _POST else read.patch).append(_run(run, id_))
    _check(read)
    return read


def _of_batch(body: bytes) -> _Read:
    batch = decoded(_batches, body)
    read = _Read(
        post=[bytes(one) for one in batch.post or ()], patch=[bytes(one) for one in batch.patch or ()]
    )
    _check(read)
    return read


def _of_run(body: bytes, id_: str | None) -> _Read:
    run = decoded(_objects, body)
    read = _Read(post=[body]) if id_ is None else _Read(patch=[_run(run, id_)])
    _check(read)
    return read


def _run(run: Mapping[str, msgspec.Raw], id_: str) -> bytes:
    """A run with its id, as JSON."""
    members = {"id": msgspec.Raw(msgspec.json.encode(id_)), **run}
    return (
        b"{"
        + b",".join(msgspec.json.encode(name) + b":" + bytes(one) for name, one in members.items())
        + b"}"
    )


def _sound(name: str, content: bytes) -> bytes:
    """A part that is JSON.

    Raises:
        FaultError: if it is none.
    """
    try:
        content.decode()
        msgspec.json.decode(content)
    except RecursionError as error:
        raise FaultError(unusable(f"The part {name[:100]!r} is nested too deeply.")) from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise FaultError(unusable(f"The part {name[:100]!r} is no JSON: {str(error)[:200]}.")) from error
    return content


def _check(read: _Read) -> None:
    """Count the runs.

    Raises:
        FaultError: if nothing of them can be read.
    """
    if not read.post and not read.patch:
        return
    try:
        read.spans = check(DIALECT, _body(read.post, read.patch))
    except InputError as error:
        raise FaultError(unusable(error.message)) from error


def _bodies(read: _Read) -> Iterable[bytes]:
    if sum(map(len, read.post)) + sum(map(len, read.patch)) <= MOST_RECORD:
        if read.post or read.patch:
            yield _body(read.post, read.patch)
        return
    for group in grouped(read.post, MOST_RECORD):
        yield _body(group, ())
    for group in grouped(read.patch, MOST_RECORD):
        yield _body((), group)


def _body(post: Iterable[bytes], patch: Iterable[bytes]) -> bytes:
    return b'{"post":[' + b",".join(post) + b'],"patch":[' + b",".join(patch) + b"]}"


def refusal(fault: Fault, kind: str) -> Said:
    """A fault as LangSmith's clients read errors."""
    del kind
    return Said(
        status=fault.status, body=msgspec.json.encode({"detail": fault.message}), headers=fault.headers
    )
