"""Which upstream answers for a configuration: a recording, or an endpoint with one of two protocols."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from inchworm.app.house import House
from inchworm.domain.calls import for_call
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import UsageError
from inchworm.domain.layers import Layer
from inchworm.providers.anthropic import AnthropicUpstream
from inchworm.providers.openai import OpenAIUpstream
from inchworm.providers.recorded import Recording
from inchworm.providers.upstream import Upstream

RECORDED, OPENAI, ANTHROPIC, ANY = "recorded", "openai", "anthropic", "any"


def upstream_for(house: House, configuration: Configuration) -> Upstream:
    """Who answers for ``configuration``.

    Raises:
        UsageError: if its ``upstream`` is not known, a key's variable is not set, or
            ``upstream: recorded`` has no recording to read.
    """
    infrastructure = for_call(configuration, None).layer(Layer.INFRASTRUCTURE)
    kind = infrastructure.get("upstream", OPENAI)
    if kind in {OPENAI, ANY}:
        return OpenAIUpstream.of(infrastructure, os.environ)
    if kind == ANTHROPIC:
        return AnthropicUpstream.of(infrastructure, os.environ)
    if kind == RECORDED:
        if house.answers is not None:
            return house.answers
        if house.spec.recording is None:
            raise UsageError(
                'infrastructure.upstream is "recorded", and no recording is named',
                hint=f"add to {house.spec.file}: recording: PATH.jsonl.gz",
            )
        return load_recording(house.spec.recording)
    raise UsageError(f'there is no upstream "{kind}": known are {OPENAI}, {ANTHROPIC}, {ANY} and {RECORDED}')


@lru_cache(maxsize=2)
def load_recording(path: Path) -> Recording:
    """The recording at ``path``, read once per process."""
    return Recording.load(path)
