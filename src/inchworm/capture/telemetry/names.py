"""OpenTelemetry's names for generative AI, old and new, in one place.

The conventions are in development and rename things; each entry lists the present name first, then the older
ones (semantic-conventions-genai, and the 1.26-1.37 releases of semantic-conventions before it). What is told
from other dialects is kept under the present names.
"""

from __future__ import annotations

from typing import Final

from inchworm.domain.span import SpanKind

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
PROVIDERS: Final = (PROVIDER, "gen_ai.system")
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = (
    "gen_ai.response.finish_reasons",
    "gen_ai.response.finish_reason",
    "llm.finish_reason",
)
_FINISHED: Final = {
    **dict.fromkeys(("stop", "end_turn", "stop_sequence", "completed", "complete"), "stop"),
    **dict.fromkeys(("eos", "eos_token"), "stop"),
    **dict.fromkeys(("tool_calls", "tool_call", "tool-calls", "tool-call", "tool_use"), "tool_calls"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "max-tokens"), "length"),
    **dict.fromkeys(("model_length", "model_context_window_exceeded"), "length"),
    **dict.fromkeys(("content_filter", "content-filter", "content_filtered", "refusal"), "content_filter"),
    **dict.fromkeys(("safety", "blocklist", "prohibited_content", "recitation", "spii"), "content_filter"),
    **dict.fromkeys(("guardrail_intervened",), "content_filter"),
}
"""OpenAI's words by those of Anthropic, Bedrock, Cohere, Gemini, Mistral, OpenTelemetry and Vercel's SDK."""
TTFT: Final = "gen_ai.response.time_to_first_chunk"
STOP: Final = "gen_ai.request.stop_sequences"

PARAMETERS: Final = {
    "gen_ai.request.temperature": ("llm.temperature",),
    "gen_ai.request.top_p": ("llm.top_p",),
    "gen_ai.request.top_k": ("llm.top_k",),
    "gen_ai.request.max_tokens": ("gen_ai.request.max_completion_tokens", "llm.request.max_tokens"),
    "gen_ai.request.frequency_penalty": ("llm.frequency_penalty",),
    "gen_ai.request.presence_penalty": ("llm.presence_penalty",),
    "gen_ai.request.seed": ("gen_ai.openai.request.seed",),
    "gen_ai.request.choice.count": ("gen_ai.request.n",),
    STOP: ("llm.chat.stop_sequences",),
    "openai.request.response_format": ("gen_ai.openai.request.response_format",),
    "openai.request.reasoning_effort": ("gen_ai.request.reasoning_effort", "llm.request.reasoning_effort"),
}
"""Parameters of a request: the name under which they are kept, and other names for them."""
REQUEST: Final = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "topP": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "topK": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_output_tokens": "gen_ai.request.max_tokens",
    "maxTokens": "gen_ai.request.max_tokens",
    "maxOutputTokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "frequencyPenalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "presencePenalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "stop": STOP,
    "stop_sequences": STOP,
    "stopSequences": STOP,
    "n": "gen_ai.request.choice.count",
    "stream": "gen_ai.request.stream",
    "model": REQUEST_MODEL,
    "model_name": REQUEST_MODEL,
}
"""Members of a request body, as OpenAI, Anthropic, Vercel and LangChain spell them, and their names here."""
OTHERS: Final = "openai.request."
"""Prefix for members of a request that have no name in the conventions."""

INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE: Final = "gen_ai.usage.cache_write.input_tokens"
REASONING: Final = "gen_ai.usage.reasoning.output_tokens"
USAGE: Final = {
    INPUT_TOKENS: (
        "gen_ai.aggregated_usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
    ),
    OUTPUT_TOKENS: (
        "gen_ai.aggregated_usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
    ),
    CACHE_READ: ("gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.details.cache_read_tokens"),
    CACHE_WRITE: (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",
    ),
    REASONING: (
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.usage.reasoning_tokens",
    ),
}
"""Counts of tokens: the present name, and other names for them."""
COST: Final = ("gen_ai.usage.cost", "gen_ai.usage.total_cost", "operation.cost")

INPUT_MESSAGES: Final = ("gen_ai.input.messages", "gen_ai.prompt")
OUTPUT_MESSAGES: Final = ("gen_ai.output.messages", "gen_ai.completion")
SYSTEM: Final = "gen_ai.system_instructions"
TOOLS: Final = "gen_ai.tool.definitions"
DETAILS: Final = "gen_ai.client.inference.operation.details"
"""The event that carries messages where they are not on the span."""
CONTENT_PROMPT: Final = "gen_ai.content.prompt"
CONTENT_COMPLETION: Final = "gen_ai.content.completion"
"""Events of the first releases, each with one attribute of JSON."""
MESSAGE_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
"""One event per message, of releases 1.28 to 1.36; the answer is :data:`CHOICE`."""
CHOICE: Final = "gen_ai.choice"

CHUNKS: Final = frozenset({"gen_ai.content.completion.chunk", "llm.content.completion.chunk"})
"""Traceloop's events, one per chunk of a stream."""

TOOL_NAME: Final = "gen_ai.tool.name"
ARGUMENTS: Final = ("gen_ai.tool.call.arguments", "tool_arguments")
RESULT: Final = ("gen_ai.tool.call.result", "tool_response")
QUERY: Final = "gen_ai.retrieval.query.text"
DOCUMENTS: Final = "gen_ai.retrieval.documents"
CONVERSATION: Final = "gen_ai.conversation.id"

OPERATIONS: Final = {
    "chat": SpanKind.LLM,
    "text_completion": SpanKind.LLM,
    "completion": SpanKind.LLM,
    "generate_content": SpanKind.LLM,
    "embeddings": SpanKind.EMBEDDING,
    "execute_tool": SpanKind.TOOL,
    "invoke_agent": SpanKind.AGENT,
    "create_agent": SpanKind.AGENT,
    "invoke_workflow": SpanKind.CHAIN,
    "retrieval": SpanKind.RETRIEVER,
    "rerank": SpanKind.RERANKER,
    "evaluate": SpanKind.EVALUATOR,
}
"""What each operation is."""
SESSIONS: Final = ("session.id", CONVERSATION)
USERS: Final = ("user.id", "enduser.id", "enduser.pseudo.id")
"""Names for people that belong to no dialect, narrowest first."""
VERSION: Final = "service.version"
HTTP_STATUS: Final = ("http.response.status_code", "http.status_code")
ERROR_TYPE: Final = "error.type"


def finish_word(word: str | None, *, calls: bool = False) -> str | None:
    """OpenAI's word for why an answer ended: instrumentations spell it in their own ways. Others stay.

    Args:
        word: as it is told.
        calls: whether the answer calls tools: a Response that does is ``completed`` too.
    """
    if word is None:
        return None
    low = word.lower()
    return "tool_calls" if calls and low == "completed" else _FINISHED.get(low, word)
