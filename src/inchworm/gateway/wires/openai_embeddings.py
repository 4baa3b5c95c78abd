"""OpenAI's embeddings: a model and texts. There is no conversation, so most layers have no place in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from inchworm.gateway.compiled import Compiled
from inchworm.gateway.wires.base import Ending, Opened, Speech, Wire


class OpenAIEmbeddings(Wire):
    """``POST /v1/embeddings``."""

    name = "openai-embeddings"
    speech = Speech.OPENAI
    # Providers do not stream vectors; if one does, its end is taken for chat's.
    ending = Ending(hint=b"[DONE]", mark=re.compile(rb"(?:^|[\r\n])(data: ?\[DONE\])"), terse=True)
    foreign = frozenset(
        {
            *("temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "max_output_tokens"),
            *("frequency_penalty", "presence_penalty", "seed", "stop", "stop_sequences", "n", "logit_bias"),
            *("logprobs", "top_logprobs", "tool_choice", "parallel_tool_calls", "response_format"),
            *("reasoning_effort", "reasoning", "verbosity", "text", "thinking", "output_config"),
            *("stream", "stream_options", "prediction", "modalities", "audio", "store", "service_tier"),
            *("functions", "function_call", "web_search_options", "truncation", "include"),
        }
    )

    def said(self, body: Mapping[str, Any]) -> Any:
        """Nothing: what is embedded is not what somebody says."""
        del body

    def takes(self, chosen: Compiled, *, meant: bool) -> bool:
        """One that speaks of a conversation is for another call of the app, unless the request means it.

        Otherwise the first embeddings call of an app whose model chats would ask that model for vectors.
        """
        return meant or not (
            chosen.reads_messages
            or chosen.schemas
            or chosen.max_tokens is not None
            or chosen.tool_choice is not None
            or self.foreign & (chosen.parameters.keys() | chosen.released)
        )

    def opened(self, body: Mapping[str, Any]) -> Opened | None:
        """There is no conversation."""
        del body
        return None

    def put(self, body: dict[str, Any], system: dict[str, Any] | None, messages: list[Any]) -> None:
        """Nothing is written: nothing was opened."""

    def put_stated(self, body: dict[str, Any], messages: list[Any]) -> None:
        """Messages are no texts to embed."""

    def put_tools(self, body: dict[str, Any], chosen: Compiled) -> bool:
        """There is nobody to use them."""
        del body
        return not chosen.schemas

    def mirrored(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """As it is."""
        return dict(body)

    def says_something(self, event: Mapping[str, Any]) -> bool:
        """There are no streams of vectors."""
        del event
        return False
