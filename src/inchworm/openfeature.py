"""A provider for OpenFeature's SDK: ``pip install 'inchworm[openfeature]'`` (``docs/assignment.md``).

Flags are places in an app's configuration, as in ``support.parameters.temperature`` or ``support.prompt``.
The targeting key is the unit; the rest of the evaluation context is what a rollout's audience is chosen by.
Resolution is in-process, by the client library, which tells the gateway of every unit that is exposed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import Any, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import (
    FlagNotFoundError,
    ProviderNotReadyError,
    TargetingKeyMissingError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.flag_evaluation import Reason as SdkReason
from openfeature.provider import AbstractProvider, Metadata

from inchworm.capture.client import Client
from inchworm.capture.client.apps import App
from inchworm.capture.client.core import OPEN
from inchworm.capture.client.listening import News
from inchworm.domain.change import ABSENT, Absent
from inchworm.domain.flags import (
    FlagKey,
    Reason,
    keys_of,
    metadata_of,
    read_key,
    reason_of,
    value_of,
    variant_of,
)

__all__ = ["InchwormProvider"]

CALL = "inchworm.call"
"""The attribute that names the call of an app whose layers are keyed by call."""

T = TypeVar("T")
Values = Sequence[FlagValueType] | Mapping[str, FlagValueType]


class _State(Enum):
    STARTING = auto()
    WAITING = auto()
    READY = auto()
    STALE = auto()


class InchwormProvider(AbstractProvider):
    """Gives OpenFeature's client the configuration that a unit gets.

    ``api.set_provider_and_wait(InchwormProvider())``. It is ready once it knows what is served,
    stale while the gateway is away (units that are known keep their arm, new ones get stable), and says when
    something else is served.

    Args:
        client: resolves; by default one of its own, which ends with the provider.
        url: the gateway, for a client of its own; as for :class:`inchworm.Client`.
    """

    def __init__(self, client: Client | None = None, *, url: str | None = None) -> None:
        super().__init__()
        self._own = client is None
        self.client = Client(url) if client is None else client
        """Resolves, and records."""
        self._end: Callable[[], None] = lambda: None
        self._state = _State.STARTING

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata(name="Inchworm")

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002  # the SDK's signature
        """Begin to listen to the gateway, and wait for what it serves.

        Raises:
            ProviderNotReadyError: if nothing is known after the client's ``wait_s``; it goes on asking, and
                becomes ready with the first answer.
        """
        self._end()
        self._state = _State.STARTING
        self._end = self.client.listeners.add(self._heard)
        if self.client.ready():
            self._state = _State.READY
            return
        self._state = _State.WAITING
        # An answer that came between the two was heard while this was neither, and told to nobody.
        if not self.client.names():
            raise ProviderNotReadyError(f"the gateway at {self.client.url} does not say what is served")
        self._state = _State.READY

    def shutdown(self) -> None:
        """Stop listening; a client of its own ships what waits, and ends."""
        self._end()
        if self._own:
            self.client.close()

    def _heard(self, news: News) -> None:
        if self._state is _State.READY and news.away:
            self._state = _State.STALE
            self.emit_provider_stale(ProviderEventDetails(message="the gateway does not answer"))
        elif self._state in {_State.WAITING, _State.STALE} and not news.away and self.client.names():
            self._state = _State.READY
            self.emit_provider_ready(ProviderEventDetails(message="the gateway answers"))
        if news.changed and self._state is _State.READY:
            apps = [app for app in map(self.client.app_known, sorted(news.changed)) if app is not None]
            flags = [key for app in apps for key in keys_of(app.name, *_known(app))]
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=flags))

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001  # the SDK's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """A value that is true or false.

        Raises:
            OpenFeatureError: as the SDK expects it.
        """
        return self._resolved(flag_key, default_value, evaluation_context, _boolean)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """A text.

        Raises:
            OpenFeatureError: as the SDK expects it.
        """
        return self._resolved(flag_key, default_value, evaluation_context, _text)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """A whole number.

        Raises:
            OpenFeatureError: as the SDK expects it.
        """
        return self._resolved(flag_key, default_value, evaluation_context, _integer)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """A number.

        Raises:
            OpenFeatureError: as the SDK expects it.
        """
        return self._resolved(flag_key, default_value, evaluation_context, _float)

    def resolve_object_details(
        self, flag_key: str, default_value: Values, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Values]:
        """An object or a list: a layer, a configuration, or a value that is one.

        Raises:
            OpenFeatureError: as the SDK expects it.
        """
        return self._resolved(flag_key, default_value, evaluation_context, _object)

    def _resolved(
        self,
        key: str,
        default: T,
        context: EvaluationContext | None,
        read: Callable[[Any], T | Absent],
    ) -> FlagResolutionDetails[T]:
        place, app = self._place(key)
        open_ = OPEN.get()
        unit = (None if context is None else context.targeting_key) or (None if open_ is None else open_.unit)
        if not unit:
            raise TargetingKeyMissingError("the targeting key is the session or user whose arm is kept")
        attributes: Mapping[str, Any] = {} if context is None else context.attributes
        call = attributes.get(CALL)
        got = self.client.resolve(
            app.name, unit, attributes=attributes, call=call if isinstance(call, str) and call else None
        )
        value = value_of(place, got.layers)
        found = default if isinstance(value, Absent) else read(value)
        if isinstance(found, Absent):
            raise TypeMismatchError(f"{place} is of another type ({type(value).__name__})")
        reason = reason_of(exposing=app.exposes, assignment=got.assignment)
        return FlagResolutionDetails(
            value=found,
            reason=SdkReason(Reason.DEFAULT if isinstance(value, Absent) else reason),
            variant=variant_of(got.assignment),
            flag_metadata=metadata_of(got.app, got.unit, got.configuration_id, got.assignment),
        )

    def _place(self, key: str) -> tuple[FlagKey, App]:
        names = self.client.names()
        if not names:
            raise ProviderNotReadyError("it is not known yet what is served")
        place = read_key(key, names)
        app = None if place is None else self.client.app_known(place.app)
        if place is None or app is None or app.table is None:
            served = ", ".join(sorted(names))
            raise FlagNotFoundError(
                f"{key!r} names no app that is served, with a layer behind it; served: {served}"
            )
        if all(isinstance(value_of(place, one), Absent) for one in _known(app)):
            raise FlagNotFoundError(f"no configuration of {app.name} has anything at {key!r}")
        return place, app


def _known(app: App) -> list[Any]:
    """The layers of every configuration that is served, with those of their single calls."""
    return [one.layers for view in app.views.values() for one in view.all()]


def _boolean(value: Any) -> bool | Absent:
    return value if isinstance(value, bool) else ABSENT


def _text(value: Any) -> str | Absent:
    return value if isinstance(value, str) else ABSENT


def _integer(value: Any) -> int | Absent:
    return value if type(value) is int else ABSENT


def _float(value: Any) -> float | Absent:
    return float(value) if type(value) in {int, float} else ABSENT


def _object(value: Any) -> Values | Absent:
    return value if isinstance(value, dict | list) else ABSENT
