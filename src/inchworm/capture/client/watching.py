"""What is served, kept fresh by a thread that asks the gateway again and again (a long poll)."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from inchworm.capture.client.wire import UnreachableError, Wire
from inchworm.capture.headers import UNATTENDED
from inchworm.domain.errors import InputError
from inchworm.domain.published import Published, version

PATH = "/inchworm/v1/serving"
_WAIT_S = 20
_FIRST_TIMEOUT_S = 5.0
_SHORTEST_ROUND_S = 0.1  # for a gateway that answers at once and has nothing new
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0


def read(document: bytes) -> Published:
    """What a published document says. A client has no key: it trusts the gateway that it was told to ask.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        return Published.from_content(json.loads(json.loads(document)["content"]))
    except (ValueError, KeyError, TypeError, AttributeError, InputError) as error:
        raise InputError(f"what is published cannot be read: {error}") from error


class Watcher:
    """Holds the last document, and says when there is another.

    Args:
        url: the gateway.
        cache: a file that keeps the last document for the next start; ``None`` for none.
        changed: called with each new publication, from this thread, and once for the cached one.
        asked: called whenever it was asked, and answered or not.
    """

    def __init__(
        self,
        url: str,
        cache: Path | None,
        changed: Callable[[Published], None],
        asked: Callable[[], None],
    ) -> None:
        self._wire = Wire(url)
        self._cache, self._changed, self._asked = cache, changed, asked
        self._holds: str | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._stop = threading.Event()
        self.heard = threading.Event()
        """Set from the first document that came from the gateway on."""
        self.away = True
        """Whether the gateway's last answer failed: then nobody new is exposed."""
        self.unattended = False
        """Whether the gateway's server is silent, so that nobody would roll back: then neither."""

    def start(self) -> None:
        """Begin, unless it has begun."""
        with self._starting:
            if self._thread is None and not self._stop.is_set():
                self._load()
                self._thread = threading.Thread(target=self._run, name="inchworm-watch", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End; waits for the thread."""
        with self._starting:
            self._stop.set()
            thread = self._thread
        self._wire.stop()
        if thread is not None:
            thread.join(1.0)

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                fresh = self._ask()
            except (UnreachableError, InputError):
                self.away = True
                self._asked()
                self._stop.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            self.away, pause = False, _FIRST_PAUSE_S
            self.heard.set()
            self._asked()
            if not fresh:
                self._stop.wait(max(0.0, began + _SHORTEST_ROUND_S - time.monotonic()))
        self._wire.close()

    def _ask(self) -> bool:
        """Ask once; whether something new came.

        Raises:
            UnreachableError: if no usable answer came.
            InputError: if what came cannot be read.
        """
        # After a silence the first question is answered at once, so that it is soon known who is there.
        wait = 0 if self.away else _WAIT_S
        holds = "" if self._holds is None else f"&holds={quote(self._holds)}"
        answer = self._wire.ask("GET", f"{PATH}?wait={wait}{holds}", timeout_s=wait + _FIRST_TIMEOUT_S)
        if answer.status in {200, 304}:
            self.unattended = UNATTENDED in answer.headers
        if answer.status == 304:
            return False
        if answer.status != 200:
            raise UnreachableError(f"status {answer.status}")
        name = version(answer.body)
        if name == self._holds:
            return False
        published = read(answer.body)
        self.away = False  # whoever is told of it now is told by a gateway that is there
        self._changed(published)
        self._holds = name
        self._save(answer.body)
        return True

    def _load(self) -> None:
        if self._cache is not None:
            with suppress(OSError, InputError):  # no cache is no harm
                document = self._cache.read_bytes()
                self._changed(read(document))
                self._holds = version(document)

    def _save(self, document: bytes) -> None:
        if self._cache is None:
            return
        with suppress(OSError):
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            import tempfile  # noqa: PLC0415  # slow to import, and few keep a cache

            handle, name = tempfile.mkstemp(prefix=f"{self._cache.name}.", dir=self._cache.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(document)
                Path(name).replace(self._cache)
            except OSError:
                with suppress(OSError):
                    Path(name).unlink()
                raise
