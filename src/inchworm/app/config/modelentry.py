"""One model as ``inchworm.yaml``, or a file that it names, writes it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from inchworm.app.config.layers import Keys
from inchworm.app.config.scalars import LIST, TEXT, Text, either, expected


def _date(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise expected("a date such as 2027-02-01") from error


Day = Annotated[date, BeforeValidator(_date), WithJsonSchema({"type": "string", "format": "date"})]


class ModelEntry(Keys):
    """One model; whatever is left out is not known, and nothing is checked against it."""

    name: Text = Field(description="The model as its provider calls it.")
    provider: Text = Field(description="Who makes and serves it, e.g. openai.")
    also: list[Text] = Field(default=[], description="Other names of exactly this model.")
    context_tokens: int | None = Field(
        default=None, ge=1, description="Tokens of question and answer together, at most."
    )
    output_tokens: int | None = Field(default=None, ge=1, description="Tokens of an answer, at most.")
    refuses: list[Text] = Field(
        default=[], description="Parameters with which a request is refused, whatever their value."
    )
    only: dict[Text, float] = Field(
        default={}, description="Parameters that may have this value alone, as in {temperature: 1}."
    )
    at_most: dict[Text, float] = Field(
        default={}, description="Parameters with their highest value, as in {temperature: 1}."
    )
    one_of: list[list[Text]] = Field(
        default=[],
        description="Groups of parameters of which a request may have one, as in [[temperature, top_p]].",
    )
    instead: dict[Text, Text] = Field(
        default={}, description="For a refused parameter, the one to name in its place."
    )
    retires_on: Day | None = Field(
        default=None, description="The day from which on requests fail, or another model answers them."
    )
    earliest: bool = Field(
        default=False, description="true: the provider calls that day the earliest possible one."
    )
    replaced_by: Text | None = Field(default=None, description="What the provider recommends in its place.")
    source: (
        Annotated[Annotated[Text, TEXT] | Annotated[list[Text], LIST], either("a page or a list of pages")]
        | None
    ) = Field(default=None, description="Where it says so: the address of a page, or several.")
    checked: Day | None = Field(default=None, description="When somebody last read that.")
