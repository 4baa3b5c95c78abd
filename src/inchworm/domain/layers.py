"""The six layers of an AI system, in the default order of sequencing."""

from __future__ import annotations

from enum import StrEnum


class Layer(StrEnum):
    """A part of the system that changes on its own and is owned by somebody.

    The order of the members is the default order in which changes are made: infrastructure first,
    model second, each measured before the next.
    """

    INFRASTRUCTURE = "infrastructure"
    """Endpoint, batch size, concurrency limits, timeouts, caching, hardware class, retries."""
    MODEL = "model"
    """Provider, model name and version, quantization."""
    PARAMETERS = "parameters"
    """Temperature, top-p, maximum tokens, penalties, stop, seed."""
    CONTEXT = "context"
    """Context window, retrieval chunk size, number of documents, history length."""
    PROMPT = "prompt"
    """System instructions, persona, few-shot examples, templates."""
    TOOLS = "tools"
    """Tool schemas, embedding model, retrieval index version."""


LAYERS: tuple[Layer, ...] = tuple(Layer)
"""All six, in the default order of sequencing."""
