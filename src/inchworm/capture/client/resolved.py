"""What one unit gets, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inchworm.capture.attributes import to_header
from inchworm.capture.client.scoring import shown
from inchworm.capture.headers import APP, APPLICATION, ATTRIBUTES, CALL, CONFIGURATION, UNIT
from inchworm.domain.calls import call_names, for_call
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import RolloutId
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.rendering import render
from inchworm.domain.serving import NO_ATTRIBUTES
from inchworm.domain.trace import Arm, Assignment

_KEPT = "k1"


class View:
    """A configuration with its layers read once; shared by everybody who gets it."""

    __slots__ = ("_calls", "application", "configuration", "layers", "values")

    def __init__(
        self, configuration: Configuration | None, call: str | None = None, application: str | None = None
    ) -> None:
        self.configuration = configuration
        """The whole, which is recorded."""
        self.application = application
        """The version of the program that this is in."""
        self.values = None if configuration is None else for_call(configuration, call)
        """What the call gets of it."""
        self.layers: Mapping[Layer, Mapping[str, Any]] = {
            layer: {} if self.values is None else self.values.layer(layer) for layer in LAYERS
        }
        names = () if configuration is None or call is not None else call_names(configuration)
        self._calls = {name: View(configuration, name, application) for name in names}

    def of(self, call: str | None) -> View:
        """What a call of this name gets; the common values if the name is not known."""
        return self if call is None else self._calls.get(call, self)

    def all(self) -> tuple[View, ...]:
        """This, and what single calls get."""
        return (self, *self._calls.values())


UNKNOWN = View(None)
"""Nothing is known: all layers are empty."""


class Resolved:
    """What one unit gets. Layers that nobody declared are empty.

    Values are plain and may be kept; do not change what is inside of them.
    """

    __slots__ = ("_attributes", "_view", "_whole", "app", "assignment", "call", "unit")

    def __init__(
        self,
        view: View,
        app: str,
        unit: str,
        assignment: Assignment | None,
        attributes: Mapping[str, str] = NO_ATTRIBUTES,
        *,
        call: str | None = None,
    ) -> None:
        self._whole, self._view = view, view if call is None else view.of(call)
        self.call = call
        """The name of the call whose values these are; ``None`` for the common ones."""
        self._attributes = attributes
        self.app = app
        """``NAME/ENVIRONMENT``, or as it was asked for if it is not known."""
        self.unit = unit
        """Whose arm it is."""
        self.assignment = assignment
        """What is recorded of the rollout; ``None`` outside of one."""

    def for_call(self, call: str | None) -> Resolved:
        """The same unit's values for a call of the app, which may have some of its own."""
        named = _named(call)
        if named == self.call:
            return self
        return Resolved(self._whole, self.app, self.unit, self.assignment, self._attributes, call=named)

    @property
    def known(self) -> bool:
        """Whether there is a configuration; if not, do what your program does without Inchworm."""
        return self._view.configuration is not None

    @property
    def configuration_id(self) -> str | None:
        """The configuration's id."""
        configuration = self._view.configuration
        return None if configuration is None else configuration.id

    @property
    def arm(self) -> str | None:
        """``baseline`` or ``candidate``; ``None`` outside of a rollout."""
        return None if self.assignment is None else self.assignment.arm.value

    @property
    def rollout(self) -> str | None:
        """The rollout's id; ``None`` outside of one."""
        return None if self.assignment is None else self.assignment.rollout_id

    @property
    def layers(self) -> Mapping[Layer, Mapping[str, Any]]:
        """All layers as they are; do not change them."""
        return self._view.layers

    @property
    def model(self) -> str | None:
        """The model's name."""
        name = self._view.layers[Layer.MODEL].get("name")
        return name if isinstance(name, str) else None

    @property
    def parameters(self) -> dict[str, Any]:
        """How the model samples, as the provider takes it: ``temperature``, ``max_tokens``, ..."""
        return dict(self._view.layers[Layer.PARAMETERS])

    @property
    def context(self) -> dict[str, Any]:
        """How much the model gets to see: ``documents``, ``history_turns``, ``chunk_tokens``, ..."""
        return dict(self._view.layers[Layer.CONTEXT])

    @property
    def prompt(self) -> dict[str, Any]:
        """The templates: ``system``, ``user``, ``few_shot``."""
        return dict(self._view.layers[Layer.PROMPT])

    @property
    def tools(self) -> dict[str, Any]:
        """What the model can call, and retrieval runs on: ``schemas``, ``index``, ``embedding_model``."""
        return dict(self._view.layers[Layer.TOOLS])

    @property
    def infrastructure(self) -> dict[str, Any]:
        """Where and how models are called: ``base_url``, ``timeout_s``, ``retries``, ..."""
        return dict(self._view.layers[Layer.INFRASTRUCTURE])

    def render(
        self, inputs: Mapping[str, Any], *, default: Sequence[Mapping[str, Any]] | None = None
    ) -> list[dict[str, Any]]:
        """The messages that the configuration makes of ``inputs``, as the benchmark makes them.

        Args:
            inputs: values of the variables; ``documents`` as a list, best first; ``messages`` for a
                conversation.
            default: the messages for when no configuration, or none with a prompt, is known.

        Raises:
            TemplateError: if a template names a variable that the inputs do not have.
            UsageError: if there is no prompt and no default.
        """
        configuration = self._view.values
        prompt = self._view.layers[Layer.PROMPT]
        if configuration is None or not prompt:
            if default is None and isinstance(inputs.get("messages"), list):
                default = inputs["messages"]
            if default is None:
                raise UsageError(
                    f"no prompt is known for {self.app}",
                    hint="give render() the messages to fall back on: render(inputs, default=[...])",
                )
            return [dict(message) for message in default]
        rendered = render(configuration, inputs).messages
        return [{"role": message.role, "content": message.content} for message in rendered]

    @property
    def kept(self) -> str | None:
        """What to store with the session, so that it keeps its arm: ``resolve(..., kept=...)``."""
        one = self.assignment
        if one is None:
            return None
        return f"{_KEPT}:{one.rollout_id}:{one.stage}:{one.arm.value}:{one.probability!r}"

    @property
    def headers(self) -> dict[str, str]:
        """Headers for calls through the gateway, which say whose call it is and that you followed this.

        What the rollout's audience is chosen by is said too, so that the gateway comes to the same answer.
        Headers are Latin-1: a unit that is not is left out, and the gateway finds one by its chain.
        """
        found = {APP: self.app, UNIT: self.unit}
        if self._view.configuration is not None:
            found[CONFIGURATION] = self._view.configuration.id
        if self._attributes:
            found[ATTRIBUTES] = to_header(self._attributes)
        if self.call is not None:
            found[CALL] = self.call
        if self._view.application is not None:
            found[APPLICATION] = self._view.application
        return {name: value for name, value in found.items() if value.isascii() and value.isprintable()}

    def __repr__(self) -> str:
        return (
            f"Resolved(app={self.app!r}, unit={self.unit!r}, "
            f"configuration_id={self.configuration_id!r}, arm={self.arm!r})"
        )


def whose(unit: object) -> str:
    """A unit as it is recorded.

    Raises:
        UsageError: if it is no text.
    """
    if not issubclass(type(unit), str):
        raise UsageError(f"a unit is a text, not {type(unit).__name__}", hint="e.g. unit=str(session_id)")
    return str.__str__(unit)


def _named(call: object) -> str | None:
    if call is None:
        return None
    if not issubclass(type(call), str) or not str.__len__(call):  # type: ignore[arg-type]  # it is one then
        raise UsageError(f"a call is named by a text, not {shown(call)}", hint='e.g. call="rerank"')
    return str.__str__(call)


def read_kept(text: object) -> Assignment | None:
    """The assignment in a :attr:`Resolved.kept`; ``None`` if it is none, e.g. of another version."""
    if not issubclass(type(text), str):
        return None
    try:
        version, rollout, stage, arm, probability = str.split(text, ":")  # type: ignore[arg-type]  # it is a text
        if version != _KEPT or not rollout:
            return None
        value = Assignment(
            rollout_id=RolloutId(rollout), stage=int(stage), arm=Arm(arm), probability=float(probability)
        )
    except ValueError:
        return None
    return value if value.stage >= 0 and 0.0 <= value.probability <= 1.0 else None
