"""The client as programs see it: everything that one connection to a gateway can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from inchworm.capture.client import grading, tracing, wrapping
from inchworm.capture.client.core import Core
from inchworm.capture.client.resolved import Resolved
from inchworm.capture.client.spans import Spanning

P = ParamSpec("P")
R = TypeVar("R")


class Client(Core):
    """A connection to Inchworm's gateway from inside of a program. Starts its threads at first use.

    Args:
        url: the gateway; by default the environment variable ``INCHWORM_URL``, else
            ``http://127.0.0.1:4141``.
        app: ``NAME`` or ``NAME/ENVIRONMENT`` for calls that name none; by default ``INCHWORM_APP``.
        cache: a file that keeps what is served for the next start of the program.
        wait_s: how long the first ``resolve`` waits for the first table, once.
        exit_s: how long the program's end waits for what is not shipped yet.
        bounds: how much waits in memory.
        application: the version of your program, e.g. its commit; by default ``INCHWORM_APPLICATION``. It is
            kept with what is recorded, and a change of it is entered in the ledger.

    Raises:
        UsageError: if the address is none.
    """

    def trace(
        self,
        app: str | None = None,
        *,
        unit: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        resolved: Resolved | None = None,
    ) -> tracing.Tracing:
        """An interaction to record: ``with client.trace("shop", unit=session_id, inputs={...}) as t: ...``.

        Args:
            app: ``NAME`` or ``NAME/ENVIRONMENT``; by default the resolved one's, or the client's.
            unit: the session or user.
            inputs: what was asked, by the names that the prompt's variables have.
            resolved: what it is recorded under, if it was resolved elsewhere.

        Raises:
            UsageError: if no app is named, or a type is wrong.
        """
        return tracing.Tracing(self, app, unit, inputs, resolved)

    def traced(
        self, app: str | None = None, *, unit: str | None = None, ignore: Sequence[str] = ()
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """A decorator that records each call of a function, plain or ``async``: arguments in, answer out.

        Args:
            app: as for :meth:`trace`.
            unit: name of the argument that is the session or user; it is no input.
            ignore: names of arguments that are not recorded.

        Raises:
            UsageError: for a generator, and for arguments that the function does not have.
        """
        return wrapping.traced(lambda: self, app, unit=unit, ignore=ignore)

    def feedback(
        self,
        trace: tracing.Tracing | Spanning | str | None,
        name: str,
        value: float | str,
        *,
        unit: str | None = None,
        source: str = "user",
        comment: str | None = None,
        id: str | None = None,  # noqa: A002  # what it is called on the wire
        app: str | None = None,
    ) -> None:
        """What somebody thinks of an interaction, now or weeks later, on the scale that the app declares.

        Args:
            trace: the trace, a step of it, or the trace's id; ``None`` with ``unit``.
            name: the metric.
            value: a number, true or false, or a word. For a metric that declares nothing it lies in [0, 1];
                what other values are worth stands in ``inchworm.yaml`` (``range``, ``values``).
            unit: a session or user, if no trace is known: its latest interaction by then is meant.
            source: who gave it.
            comment: what was said beside it.
            id: your own id of this feedback: sent twice, it counts once.
            app: as for :meth:`trace`; a trace knows its own.

        Raises:
            UsageError: if no app is named, nothing says what it is about, or the value is none of these.
        """
        grading.feedback(self, trace, name, value, unit=unit, source=source, comment=comment, id_=id, app=app)

    def http_client(
        self,
        *,
        app: str | None = None,
        provider_url: str | None = None,
        library: str | None = None,
        **options: Any,
    ) -> Any:
        """An ``httpx.Client`` for an SDK: ``OpenAI(http_client=client.http_client())``, or Anthropic's.

        Calls go through the gateway; when nobody is there, straight to the provider.

        Args:
            app: ``NAME`` or ``NAME/ENVIRONMENT`` of calls that name none; by default the client's.
            provider_url: the provider, up to and including ``/v1``; by default where the SDK wanted to go,
                else what ``inchworm.yaml`` says, else OpenAI.
            library: ``httpx`` or ``httpx2``; by default the one that the installed ``openai`` needs, else
                ``anthropic``.
            options: for the client, e.g. ``timeout``.

        Raises:
            UsageError: if neither library is installed.
        """
        from inchworm.capture.client import direct  # noqa: PLC0415  # most programs use no provider's SDK with it

        return direct.http_client(self, app=app, provider_url=provider_url, library=library, options=options)

    def async_http_client(
        self,
        *,
        app: str | None = None,
        provider_url: str | None = None,
        library: str | None = None,
        **options: Any,
    ) -> Any:
        """An ``httpx.AsyncClient`` for an SDK; as :meth:`http_client`.

        Raises:
            UsageError: if neither library is installed.
        """
        from inchworm.capture.client import direct  # noqa: PLC0415  # as above

        return direct.async_http_client(
            self, app=app, provider_url=provider_url, library=library, options=options
        )
