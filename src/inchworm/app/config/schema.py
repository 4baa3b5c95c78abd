"""The keys of ``inchworm.yaml``, and their JSON Schema for editors and for the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from inchworm.app.config.judging import JudgingEntry
from inchworm.app.config.layers import Keys, Layers
from inchworm.app.config.metricentry import MetricEntry
from inchworm.app.config.modelentry import ModelEntry
from inchworm.app.config.notify import NotifyEntry, PageUrl
from inchworm.app.config.permitting import ApprovalsEntry, FreezeText, LossBudgetEntry
from inchworm.app.config.problems import KeyPath
from inchworm.app.config.retention import RetentionEntry
from inchworm.app.config.scalars import (
    LIST,
    TEXT,
    Audience,
    Duration,
    Money,
    Share,
    Text,
    either,
    refused,
    word,
)
from inchworm.domain.assignment import HASHES
from inchworm.domain.layers import LAYERS
from inchworm.domain.rollout import Policy, UnitKind
from inchworm.sanitize import Kind

DEFAULT_DATA = ".inchworm"
"""The data directory, from the folder of ``inchworm.yaml``."""
SCHEMA_FILE = "schema.json"
"""Name of the JSON Schema in the data directory."""

_POLICY = Policy()


class StageEntry(Keys):
    """One stage with values of its own."""

    weight: Share = Field(description="The candidate's share of the traffic.")
    min_units: int = Field(
        default=_POLICY.stages[0].min_units,
        ge=1,
        description="Units of both arms together before it may expand.",
    )
    min_bake: Duration | None = Field(
        default=None, description="Time before it may expand; 2h if left out, and 24h in the last stage."
    )
    max_bake: Duration | None = Field(
        default=None,
        description="Time after which it stops growing and asks; 7d if left out, and 14d in the last stage.",
    )
    margin_factor: float | None = Field(
        default=None,
        ge=1,
        le=100,
        description="The stage's margins are this times the final ones. If left out: 2.7, 1.7 and 1 for "
        "three stages, on a line through these points for any other number; the last is always 1.",
    )
    audience: Audience | None = Field(
        default=None,
        description="Who takes part: attributes that callers state, each with one value or a list of them, "
        "as in {tenant: [acme], plan: internal}. If left out, everybody. unit is the unit's own id.",
    )


SHADOW = "shadow"
"""A stage in a word: shadow at 100%, all else as by default."""


class ShadowEntry(Keys):
    """A stage at which the candidate answers what stable answers, for nobody to see."""

    shadow: Share = Field(description="The share of the units whose first call is put to the candidate too.")
    max_calls: int = Field(
        default=5_000, ge=1, description="How many calls are put to the candidate at most."
    )
    budget: Money | None = Field(
        default=None,
        description="What these calls may cost at most, as in 5 USD. Needs infrastructure.price.",
    )
    min_pairs: int = Field(
        default=200, ge=1, description="Pairs of answers to the same input before it may expand."
    )
    min_bake: Duration | None = Field(default=None, description="Time before it may expand; 2h if left out.")
    max_bake: Duration | None = Field(
        default=None, description="Time after which it stops and asks; 7d if left out."
    )
    margin_factor: float | None = Field(
        default=None,
        ge=1,
        le=100,
        description="The stage's margins are this times the final ones; 2.7 if left out.",
    )
    audience: Audience | None = Field(
        default=None, description="Whose calls may be put to the candidate, as at other stages."
    )

    @model_validator(mode="before")
    @classmethod
    def _is_no_split(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and "weight" in value:
            raise refused("has either shadow or weight: nobody gets the candidate's answer at a shadow stage")
        return value


def _stage(value: Any) -> str:
    if isinstance(value, ShadowEntry) or (isinstance(value, Mapping) and SHADOW in value):
        return "<shadow>"
    if value == SHADOW:
        return "<word>"
    return "<mapping>" if isinstance(value, Mapping | StageEntry) else "<share>"


class Alpha(Keys):
    """How often each kind of wrong decision may happen over the life of one rollout."""

    harm_fast: float = Field(
        default=_POLICY.alpha_harm_fast,
        gt=0,
        le=0.5,
        description="Rolling back a harmless change, by fast metrics.",
    )
    harm_judged: float = Field(
        default=_POLICY.alpha_harm_judged,
        gt=0,
        le=0.5,
        description="Rolling back a harmless change, by judged metrics.",
    )
    expand: float = Field(
        default=_POLICY.alpha_expand,
        gt=0,
        le=0.5,
        description="Expanding a change that is worse than a margin.",
    )
    ratio: float = Field(
        default=_POLICY.alpha_ratio, gt=0, le=0.5, description="A false alarm of the sample-ratio test."
    )
    pause: float = Field(
        default=_POLICY.alpha_pause,
        ge=0,
        le=0.5,
        description="Pausing a harmless change and asking; 0 for never. At low traffic 0.2 asks early.",
    )


class Rollout(Keys):
    """How a change is exposed, stage by stage."""

    stages: list[
        Annotated[
            Annotated[Share, Tag("<share>")]
            | Annotated[StageEntry, Tag("<mapping>")]
            | Annotated[ShadowEntry, Tag("<shadow>")]
            | Annotated[Annotated[str, *word(SHADOW)], Tag("<word>")],
            Discriminator(_stage),
        ]
    ] = Field(
        default=[stage.weight for stage in _POLICY.stages],
        min_length=1,
        max_length=20,
        description="The candidate's shares of the traffic, growing: 5%, 0.05, or a mapping with weight. "
        "Shadow stages may stand before them: shadow, or a mapping with shadow.",
    )
    soak: Duration = Field(
        default=_POLICY.soak_s,
        description="Time after the last stage at 100% less the holdback, before the change is stable.",
    )
    holdback: Share = Field(
        default=_POLICY.holdback, description="Share that stays on stable through the soak."
    )
    holdout: Share = Field(
        default=_POLICY.holdout,
        description="Share of the units that no rollout of this app exposes, the same ones each time.",
    )
    hash: Annotated[str, *word(*HASHES)] = Field(
        default="xxh3",
        description="How units are drawn: xxh3, or growthbook for the draws of GrowthBook's hash version 2.",
    )
    user_window: Duration = Field(
        default=_POLICY.user_window_s,
        description="With unit user: time from a user's first exposure in a stage over which outcomes count.",
    )
    maturation: Duration = Field(
        default=_POLICY.maturation_s, description="How long an outcome may take before it counts as missing."
    )
    maturation_judged: Duration = Field(
        default=_POLICY.maturation_judged_s, description="The same for outcomes of the judged clock."
    )
    judging: JudgingEntry = Field(default=JudgingEntry(), description="Which units are judged.")
    gate: bool = Field(
        default=_POLICY.gate, description="Whether a step must pass its benchmark before it is exposed."
    )
    gate_margin_factor: float = Field(
        default=_POLICY.gate_margin_factor,
        gt=0,
        le=100,
        description="The gate's margins are this times the final ones.",
    )
    alpha: Alpha = Field(default=Alpha(), description="Shares of the error budget.")
    after: dict[Annotated[str, *word(*LAYERS)], list[Annotated[str, *word(*LAYERS)]]] = Field(
        default={}, description="For a layer, the layers that must move before it, as in {prompt: [context]}."
    )
    freeze: list[FreezeText] = Field(
        default=[],
        max_length=100,
        description="Times in which nothing starts and nothing grows: Fri 16:00 – Mon 08:00 Europe/Berlin, "
        "daily 22:00 – 06:00 UTC, 2026-12-20 – 2027-01-03, or a mapping with a rule (docs/rollouts.md).",
    )
    approvals: ApprovalsEntry | None = Field(
        default=None, description="Who must agree before a change goes on; nobody if left out."
    )
    loss_budget: LossBudgetEntry | None = Field(
        default=None,
        description="What several changes may lose together, as in {margin: 3%, per: 90d}; not counted if "
        "left out.",
    )


class Sanitize(Keys):
    """What the sanitizer looks for."""

    kinds: list[Annotated[str, *word(*Kind)]] = Field(
        default=[kind.value for kind in Kind], description="Kinds of personal data and secrets to look for."
    )
    custom: dict[str, Text] = Field(
        default={},
        description="Kinds of your own: a name in capitals, and a regular expression in Python's syntax.",
    )


class ConfigFile(Keys):
    """The whole file."""

    app: Text = Field(description="The feature and where it runs: NAME/ENVIRONMENT.")
    unit: Annotated[str, *word(*UnitKind)] = Field(
        default=UnitKind.SESSION.value,
        description="What gets one arm for good: a session, a user, or each request.",
    )
    layers: Layers = Field(description="The configuration: six layers, each changed on its own.")
    metrics: dict[str, MetricEntry] = Field(
        min_length=1, description="What changes are judged by, each under a name of your choice."
    )
    rollout: Rollout = Field(default=Rollout(), description="How changes are exposed.")
    sanitize: Sanitize = Field(default=Sanitize(), description="What is taken out before anything is stored.")
    data: Text = Field(
        default=DEFAULT_DATA, description="The data directory, from the folder of inchworm.yaml."
    )
    retention: RetentionEntry = Field(
        default=RetentionEntry(), description="How long what was captured is kept (docs/erasure.md)."
    )
    notify: list[NotifyEntry] = Field(
        default=[], max_length=20, description="Who is told of decisions, and how (docs/notifications.md)."
    )
    public_url: PageUrl | None = Field(
        default=None,
        description="Address under which people open the pages, for links in notifications; the server's own "
        "if left out.",
    )
    recording: Text | None = Field(
        default=None,
        description="Recorded answers that `upstream: recorded` is answered from: a file in the format "
        "recording/1, from the folder of inchworm.yaml.",
    )
    models: (
        Annotated[
            Annotated[Text, TEXT] | Annotated[list[ModelEntry], LIST],
            either("the path of a file, or a list of models"),
        ]
        | None
    ) = Field(
        default=None,
        description="Models that Inchworm does not know, and corrections of what it knows of others: a list, "
        "or a YAML file with such a list under models:, from the folder of inchworm.yaml.",
    )


# A description that is the docstring of the class it refers to would be dropped by pydantic: they differ.
class _Generator(GenerateJsonSchema):
    """Says what may be written: no ``null`` for a key that is left out, and defaults as in a file."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        value = schema.get("default")
        if value is None or isinstance(value, Keys) or value == {}:
            return inner
        return {**inner, "default": _written(value, inner)}

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


def _written(value: Any, inner: JsonSchemaValue) -> Any:
    """A default as it would stand in the file."""
    if inner.get("pattern", "").endswith("[smhd]$"):
        return f"{value / 3_600:g}h" if value else "0s"
    return value


@cache
def _schema() -> dict[str, Any]:
    schema = ConfigFile.model_json_schema(schema_generator=_Generator)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "inchworm.yaml"}


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of ``inchworm.yaml``; every key has a description."""
    return deepcopy(_schema())


def keys_at(path: KeyPath) -> list[str]:
    """The keys that the mapping at ``path`` may have; empty if it takes any."""
    schema = _schema()
    nodes: list[Mapping[str, Any]] = [schema]
    for part in path:
        nodes = [
            child for node in nodes for inner in _branches(node, schema) for child in _below(inner, part)
        ]
    return [key for node in nodes for inner in _branches(node, schema) for key in inner.get("properties", {})]


def _branches(node: Mapping[str, Any], root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "$ref" in node:
        return _branches(root["$defs"][node["$ref"].rsplit("/", 1)[-1]], root)
    inner = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    return [node, *(found for branch in inner for found in _branches(branch, root))]


def _below(node: Mapping[str, Any], part: str | int) -> list[Any]:
    if isinstance(part, int):
        child = node.get("items")
    else:
        child = node.get("properties", {}).get(part, node.get("additionalProperties"))
    return [child] if isinstance(child, Mapping) else []
