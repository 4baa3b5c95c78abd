"""The protocols in which SDKs ask, as far as a call must be told and said plainly without a gateway. Pure.

Layers hold everything in the form of OpenAI's chat completions. What a protocol calls by another name is
renamed; what it does not know, or says in another form, is left out: a gateway does better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from inchworm.domain.layers import Layer

OPENAI, ANTHROPIC = "https://api.openai.com/v1", "https://api.anthropic.com/v1"
_AZURE = "/openai/deployments/"
_AZURE_RESPONSES = "/openai/responses"
_SYSTEM = frozenset({"system", "developer"})
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_BOTH = frozenset({"api.anthropic.com"})  # serves OpenAI's chat completions beside its own protocol


class Protocol:
    """One protocol.

    Args:
        path: how the paths end at which it is asked.
        speech: whose it is: ``openai`` or ``anthropic``.
        content: the member that says what is asked.
        places: parameters that it knows under another name, or within another member.
        foreign: parameters that it does not know, or whose values it writes in another form.
        tool: a schema of a tool as it writes it.
    """

    def __init__(
        self,
        path: str,
        speech: str = "openai",
        *,
        content: str = "messages",
        places: Mapping[str, Sequence[str]] | None = None,
        foreign: frozenset[str] = frozenset(),
        tool: Callable[[Any], Any] | None = None,
    ) -> None:
        self.path, self.speech, self.content = path, speech, content
        self.places, self.foreign, self._tool = places or {}, foreign, tool

    @property
    def provider(self) -> str:
        """Who is asked if nobody says otherwise."""
        return ANTHROPIC if self.speech == "anthropic" else OPENAI

    def put(self, body: dict[str, Any], parameters: Mapping[str, Any], schemas: Any) -> None:
        """Write a configuration's parameters and tools into a request."""
        if schemas and self._tool is not None and isinstance(schemas, list):
            body["tools"] = [self._tool(one) for one in schemas]
        for name, value in parameters.items():
            outer, *inner = self.places.get(name, (name,))
            if name not in self.foreign and (said := self._written(name, value)) is not None:
                before = body.get(outer)
                kept = before if isinstance(before, dict) else {}
                body[outer] = {**kept, inner[0]: said} if inner else said
        if not body.get("tools"):
            body.pop("tool_choice", None)

    def _written(self, name: str, value: Any) -> Any:
        """A parameter's value as the protocol writes it; ``None`` if it has another form there."""
        if self.speech == "anthropic" and name == "tool_choice":
            choice = _CHOICES.get(value) if isinstance(value, str) else None
            return None if choice is None else {"type": choice}
        return [value] if self.speech == "anthropic" and name == "stop" and isinstance(value, str) else value

    def ask(self, body: dict[str, Any], messages: list[dict[str, str]]) -> None:
        """Write rendered messages into a request that has none."""
        if self.speech == "anthropic" and messages and messages[0]["role"] in _SYSTEM:
            body.setdefault("system", messages[0]["content"])
            messages = messages[1:]
        body[self.content] = messages


def _flat(schema: Any) -> Any:
    inner = schema.get("function") if isinstance(schema, dict) else None
    return (
        {"type": "function", "parameters": None, "strict": False, **inner}
        if isinstance(inner, dict)
        else schema
    )


def _with_input_schema(schema: Any) -> Any:
    inner = schema.get("function") if isinstance(schema, dict) else None
    if not isinstance(inner, dict):
        return schema
    said = {name: inner[name] for name in ("name", "description", "strict") if inner.get(name) is not None}
    return {**said, "input_schema": inner.get("parameters") or {"type": "object"}}


CHAT = Protocol("/chat/completions", tool=lambda schema: schema)
RESPONSES = Protocol(
    "/responses",
    content="input",
    places={
        "max_tokens": ("max_output_tokens",),
        "max_completion_tokens": ("max_output_tokens",),
        "reasoning_effort": ("reasoning", "effort"),
        "verbosity": ("text", "verbosity"),
    },
    foreign=frozenset(
        {
            *("stop", "stop_sequences", "seed", "n", "logit_bias", "logprobs", "top_k", "response_format"),
            *("frequency_penalty", "presence_penalty", "prediction", "modalities", "audio"),
            *("functions", "function_call", "web_search_options", "thinking", "output_config"),
            *("dimensions", "encoding_format"),
        }
    ),
    tool=_flat,
)
EMBEDDINGS = Protocol(
    "/embeddings",
    content="input",
    foreign=frozenset(
        {
            *("temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "max_output_tokens"),
            *("frequency_penalty", "presence_penalty", "seed", "stop", "stop_sequences", "n", "logit_bias"),
            *("logprobs", "top_logprobs", "tool_choice", "parallel_tool_calls", "response_format"),
            *("reasoning_effort", "reasoning", "verbosity", "text", "thinking", "output_config"),
            *("stream", "stream_options", "prediction", "modalities", "audio", "store", "service_tier"),
            *("functions", "function_call", "web_search_options", "truncation", "include"),
        }
    ),
)
ANTHROPIC_MESSAGES = Protocol(
    "/v1/messages",
    "anthropic",
    places={
        "max_completion_tokens": ("max_tokens",),
        "max_output_tokens": ("max_tokens",),
        "stop": ("stop_sequences",),
    },
    foreign=frozenset(
        {
            *("seed", "n", "logit_bias", "logprobs", "top_logprobs", "frequency_penalty", "response_format"),
            *("presence_penalty", "verbosity", "prediction", "modalities", "audio", "store"),
            *("functions", "function_call", "web_search_options", "stream_options", "moderation"),
            *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "reasoning_effort"),
            *("safety_identifier", "user", "reasoning", "text", "truncation", "include"),
            *("max_tool_calls", "background", "dimensions", "encoding_format", "parallel_tool_calls"),
        }
    ),
    tool=_with_input_schema,
)
ALL = (CHAT, RESPONSES, EMBEDDINGS, ANTHROPIC_MESSAGES)


def protocol_at(path: str) -> Protocol | None:
    """The protocol of the calls that are made at a path; ``None`` if a gateway takes none there."""
    return next((one for one in ALL if path.endswith(one.path)), None)


def at_gateway(path: str, protocol: Protocol) -> str:
    """A provider's path as a gateway knows it: from ``/v1`` or Azure's ``/openai`` on."""
    if _AZURE in path:
        return path[path.index(_AZURE) :]
    if path.endswith(_AZURE_RESPONSES):
        return _AZURE_RESPONSES
    return f"/v1{protocol.path.removeprefix('/v1')}"


def joined(base: str, path: str) -> str:
    """A provider's address with a path in it that begins with ``/v1`` too."""
    if _AZURE in path:
        return base.removesuffix("/v1") + path[path.index(_AZURE) :]
    return base + path[path.rindex("/v1/") + 3 :] if "/v1/" in path else base + path


def published_url(layers: Sequence[Mapping[str, Any]], protocol: Protocol | None) -> str | None:
    """Where a configuration's provider is, if it understands the protocol.

    Args:
        layers: what is said of the infrastructure, the first counts.
        protocol: in which it is asked.
    """
    for layer in layers:
        url = layer.get("base_url")
        if isinstance(url, str) and url:
            return url.rstrip("/") if understood(layers, protocol) else None
    return None


def understood(layers: Sequence[Mapping[str, Any]], protocol: Protocol | None) -> bool:
    """Whether a configuration's provider is asked in this protocol, as far as is known."""
    if protocol is None:
        return True
    said = {name: value for layer in reversed(layers) for name, value in layer.items()}
    match said.get("upstream"):
        case "openai" | "anthropic" as speech:
            return bool(speech == protocol.speech)
        case None if url := said.get("base_url"):
            return protocol.speech == "openai" or _host(str(url)) in _BOTH
        case _:
            return True


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def infrastructure(
    layers: Mapping[Layer, Mapping[str, Any]], app: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    """What is said of where models are called: the configuration's own first."""
    return (layers[Layer.INFRASTRUCTURE], app)
