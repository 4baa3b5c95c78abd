"""Which path leads to which protocol: one table."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from inchworm.gateway.faults import Fault
from inchworm.gateway.ingest import langfuse, langsmith, otlp, scores
from inchworm.gateway.ingest.asked import Asked, Said
from inchworm.gateway.ingest.langfuse import Langfuse
from inchworm.gateway.ingest.langsmith import Langsmith
from inchworm.gateway.ingest.otlp import Otlp
from inchworm.gateway.ingest.questions import Questions
from inchworm.gateway.ingest.scores import Scores

Handler = Callable[[Asked], Awaitable[Said]]

TRACES = (
    "/v1/traces",
    "/api/public/otel/v1/traces",  # Langfuse
    "/api/public/otel",  # the same, where the whole endpoint was given without its end
    "/otel/v1/traces",  # LangSmith
    "/api/v1/otel/v1/traces",
    "/api/v1/private/otel/v1/traces",  # Opik
    "/api/v1/private/otel",
    "/opik/api/v1/private/otel/v1/traces",
)
"""Where exporters of OpenTelemetry send traces."""
OTHER_SIGNALS = ("/v1/logs", "/v1/metrics", "/api/public/otel/v1/logs", "/api/public/otel/v1/metrics")
LANGSMITH_BASES = ("", "/api", "/api/v1")
"""What stands before LangSmith's paths: nothing in its cloud, more where people host it."""
_NAMED = re.compile(r"/api/public/v2/(prompts|datasets)/.+")
_RUN = re.compile(r"(?:/api|/api/v1)?/runs/[0-9A-Za-z-]{1,64}")


@dataclass(frozen=True, slots=True)
class Door:
    """Where a path leads.

    Attributes:
        protocol: its name in metrics.
        refusal: says a fault as this protocol's clients read it, given the request's content type.
        methods: what is done, by HTTP methods.
    """

    protocol: str
    refusal: Callable[[Fault, str], Said]
    methods: Mapping[str, Handler]


class Doors:
    """All of them.

    Args:
        to_otlp: takes traces.
        to_langfuse: takes Langfuse's events and scores.
        to_langsmith: takes LangSmith's runs and feedback.
        to_scores: takes our own scores.
        questions: answers what clients fetch.
    """

    def __init__(
        self,
        *,
        to_otlp: Otlp,
        to_langfuse: Langfuse,
        to_langsmith: Langsmith,
        to_scores: Scores,
        questions: Questions,
    ) -> None:
        self.paths: dict[str, Door] = {}
        """Doors by whole paths."""

        def put(path: str, protocol: str, refusal: Callable[[Fault, str], Said], **methods: Handler) -> None:
            self.paths[path] = Door(protocol, refusal, methods)

        for path in TRACES:
            put(path, "otlp", otlp.refusal, POST=to_otlp.traces)
        for path in OTHER_SIGNALS:
            put(path, "otlp", otlp.refusal, POST=to_otlp.other)
        public = "/api/public"
        put(f"{public}/ingestion", "langfuse", langfuse.refusal, POST=to_langfuse.ingestion)
        put(f"{public}/scores", "langfuse", langfuse.refusal, POST=to_langfuse.scores)
        put(f"{public}/projects", "langfuse", langfuse.refusal, GET=to_langfuse.projects)
        put(f"{public}/health", "langfuse", langfuse.refusal, GET=to_langfuse.health)
        put(f"{public}/dataset-items", "langfuse", langfuse.refusal, GET=questions.items)
        for base in LANGSMITH_BASES:
            put(f"{base}/info", "langsmith", langsmith.refusal, GET=to_langsmith.info)
            put(f"{base}/runs", "langsmith", langsmith.refusal, POST=to_langsmith.run)
            put(f"{base}/runs/batch", "langsmith", langsmith.refusal, POST=to_langsmith.batch)
            put(f"{base}/runs/multipart", "langsmith", langsmith.refusal, POST=to_langsmith.multipart)
            put(f"{base}/feedback", "langsmith", langsmith.refusal, POST=to_langsmith.feedback)
        put("/api/v1/scores", "scores", scores.refusal, POST=to_scores.take)
        self._named = {
            "prompts": Door("langfuse", langfuse.refusal, {"GET": questions.prompt}),
            "datasets": Door("langfuse", langfuse.refusal, {"GET": questions.dataset}),
        }
        self._run = Door("langsmith", langsmith.refusal, {"PATCH": to_langsmith.run})

    def door(self, path: str) -> Door | None:
        """Where a path leads; ``None`` if it is none of these."""
        found = self.paths.get(path)
        if found is not None:
            return found
        if path.startswith("/api/public/v2/") and (named := _NAMED.fullmatch(path)) is not None:
            return self._named[named[1]]
        return self._run if "/runs/" in path and _RUN.fullmatch(path) is not None else None
