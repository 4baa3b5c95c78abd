"""The six layers as ``inchworm.yaml`` writes them. A key that is offered is a key that is used or carried."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from inchworm.app.config.scalars import (
    LIST,
    MAPPING,
    TEXT,
    BaseUrl,
    KeyReference,
    Text,
    either,
    refused,
    word,
)


class Keys(BaseModel):
    """A mapping with known keys; an unknown key, or a key without a value, is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _has_value(cls, value: Any) -> Any:
        if value is None:
            raise refused("has no value: write one, or leave the key out")
        return value


_CALLS = (
    "Values of single calls, by the names of the calls: the same keys as the layer, and each value takes the "
    "place of the layer's own."
)


class FileRef(Keys):
    """A file beside ``inchworm.yaml``."""

    file: Text = Field(description="Path of a file, from the folder of inchworm.yaml.")


class Price(Keys):
    """What tokens cost."""

    input: float = Field(ge=0, description="US dollars per million tokens read.")
    output: float = Field(ge=0, description="US dollars per million tokens written.")


class InfrastructureKeys(Keys):
    """What the infrastructure layer may say, for all calls or for one."""

    upstream: Annotated[str, *word("openai", "anthropic", "any", "recorded")] | None = Field(
        default=None,
        description="Who answers: openai is any server that speaks OpenAI's protocols, anthropic one that "
        "speaks Anthropic's messages, any one that speaks both; recorded is a file of answers that a model "
        "gave once.",
    )
    base_url: BaseUrl | None = Field(
        default=None, description="Address of the server up to and including /v1; OpenAI's if left out."
    )
    api_key: KeyReference | None = Field(
        default=None,
        description="Where the key is: env: and the name of an environment variable, or file: and the "
        "absolute path of a file, which is read again when it changes. Never the key itself.",
    )
    timeout_s: float | None = Field(
        default=None,
        gt=0,
        le=86_400,
        description="Seconds after which an answer comes too late and counts as failed.",
    )
    max_concurrency: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Requests in flight at once to this address, at most; in each gateway, and in a "
        "benchmark. A gateway lets four times as many wait, at least 64, and answers further ones with 429.",
    )
    retries: int | None = Field(
        default=None,
        ge=0,
        le=100,
        description="How often a gateway asks again, within the deadline, where it is certain that the "
        "provider did not work on the request: no connection, or 429 or 503 with Retry-After. Never after a "
        "timeout.",
    )
    batch_size: int | None = Field(
        default=None, ge=1, description="Requests that the server handles together."
    )
    hardware: Text | None = Field(
        default=None, description="Class of hardware that the model runs on, e.g. a100-80gb."
    )
    price: Price | None = Field(
        default=None, description="What tokens cost; without it the cost is not known."
    )


class Infrastructure(InfrastructureKeys):
    """Where models are, and how they are called."""

    calls: dict[Text, InfrastructureKeys] = Field(default={}, description=_CALLS)


class ModelKeys(Keys):
    """What the model layer may say of one call."""

    name: Text | None = Field(
        default=None, description="The model as the provider calls it, with its version."
    )
    provider: Text | None = Field(
        default=None, description="Who serves it, where that is not plain from the address."
    )
    quantization: Text | None = Field(default=None, description="How its weights are rounded, e.g. q4_1.")


class ModelLayer(ModelKeys):
    """The model that answers."""

    name: Text = Field(description="The model as the provider calls it, with its version.")
    calls: dict[Text, ModelKeys] = Field(default={}, description=_CALLS)


class ParameterKeys(Keys):
    """What the parameters layer may say, for all calls or for one."""

    temperature: float | None = Field(
        default=None, ge=0, le=2, description="Randomness of sampling; 0 for the least."
    )
    top_p: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Sample only from the likeliest words that together reach this probability.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Tokens of an answer, at most; a longer one is cut off.",
    )
    max_completion_tokens: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="The same, thinking included, for models that refuse max_tokens.",
    )
    presence_penalty: float | None = Field(
        default=None, ge=-2, le=2, description="Penalty for words that have been used already."
    )
    frequency_penalty: float | None = Field(
        default=None, ge=-2, le=2, description="Penalty for words by how often they have been used."
    )
    stop: (
        Annotated[Annotated[Text, TEXT] | Annotated[list[Text], LIST], either("a text or a list of texts")]
        | None
    ) = Field(default=None, description="Texts at which an answer ends.")
    seed: int | None = Field(default=None, description="Seed of sampling, where the provider takes one.")
    tool_choice: (
        Annotated[
            Annotated[Text, TEXT] | Annotated[dict[str, Any], MAPPING],
            either("none, auto, required or a mapping that names a tool"),
        ]
        | None
    ) = Field(
        default=None, description="Whether tools may, must or must not be called, or which one must be."
    )
    response_format: dict[str, Any] | None = Field(
        default=None, description="The form of the answer as the provider takes it, e.g. {type: json_object}."
    )


class Parameters(ParameterKeys):
    """How the model samples. Sent as they are; what is left out is left to the provider."""

    calls: dict[Text, ParameterKeys] = Field(default={}, description=_CALLS)


class ContextKeys(Keys):
    """What the context layer may say, for all calls or for one."""

    window_tokens: int | None = Field(
        default=None,
        ge=1,
        le=100_000_000,
        description="Tokens of question and answer together that the model takes.",
    )
    documents: int | None = Field(
        default=None,
        ge=0,
        le=100_000,
        description="Retrieved documents that the prompt sees, the best ones; all if left out.",
    )
    document_order: Annotated[str, *word("best_first", "best_last")] | None = Field(
        default=None,
        description="Where the best document stands: before the others (as retrieved) or after them.",
    )
    chunk_tokens: int | None = Field(default=None, ge=1, description="Tokens of one retrieved piece of text.")
    history_turns: int | None = Field(
        default=None,
        ge=0,
        le=100_000,
        description="Earlier turns of a conversation that the model sees; all if left out.",
    )


class Context(ContextKeys):
    """How much the model gets to see."""

    calls: dict[Text, ContextKeys] = Field(default={}, description=_CALLS)


class Example(Keys):
    """One example that the model is shown."""

    inputs: dict[str, Any] = Field(description="Values of the variables that the user template names.")
    answer: Text = Field(description="The right answer to them.")


PromptText = Annotated[Annotated[Text, TEXT] | Annotated[FileRef, MAPPING], either("a text or {file: PATH}")]


class PromptKeys(Keys):
    """What the prompt layer may say, for all calls or for one."""

    system: PromptText | None = Field(
        default=None,
        description="System instructions: a text, or a file of UTF-8 text. Variables stand as in {question}, "
        "literal braces are written twice, and line breaks at the end of a file are left out.",
    )
    user: PromptText | None = Field(
        default=None,
        description="Template of the user's message, a text or a file; without it, recorded conversations "
        "are sent as they are.",
    )
    few_shot: (
        Annotated[
            Annotated[list[Example], LIST] | Annotated[FileRef, MAPPING],
            either("a list of examples or {file: PATH}"),
        ]
        | None
    ) = Field(
        default=None, description="Examples before the question: a list, or a YAML file that holds one."
    )


class Prompt(PromptKeys):
    """What the model is told. Texts name variables as in {question}; a literal brace is written twice."""

    calls: dict[Text, PromptKeys] = Field(default={}, description=_CALLS)


class ObservedRef(Keys):
    """A reference whose present value only the running program knows."""

    observed: Text = Field(
        description="Name of what floats. What it stands for is told with each call (header "
        "inchworm-observed), and a change of it is entered in the ledger."
    )


Floating = Annotated[
    Annotated[Text, TEXT] | Annotated[ObservedRef, MAPPING], either("a text or {observed: NAME}")
]


class ToolKeys(Keys):
    """What the tools layer may say, for all calls or for one."""

    schemas: (
        Annotated[
            Annotated[list[dict[str, Any]], LIST] | Annotated[FileRef, MAPPING],
            either("a list of tool schemas or {file: PATH}"),
        ]
        | None
    ) = Field(
        default=None, description="Schemas of the tools: a list, or a JSON or YAML file that holds one."
    )
    index: Floating | None = Field(
        default=None,
        description="Name and version of the retrieval index, or {observed: NAME} for a live one.",
    )
    embedding_model: Floating | None = Field(
        default=None, description="Model that embeds for retrieval, or {observed: NAME}."
    )


class Tools(ToolKeys):
    """What the model can call, and what retrieval runs on."""

    calls: dict[Text, ToolKeys] = Field(default={}, description=_CALLS)


class Layers(Keys):
    """The six layers of the system, each changed on its own."""

    infrastructure: Infrastructure = Field(
        default=Infrastructure(), description="Where and how models are called."
    )
    model: ModelLayer = Field(description="Which model answers.")
    parameters: Parameters = Field(default=Parameters(), description="How it samples.")
    context: Context = Field(default=Context(), description="How much it gets to see.")
    prompt: Prompt = Field(default=Prompt(), description="What it is told.")
    tools: Tools = Field(default=Tools(), description="What it can call, and what retrieval runs on.")
