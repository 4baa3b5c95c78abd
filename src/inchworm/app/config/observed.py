"""A folder without ``inchworm.yaml``: its traffic is recorded as it is, and nothing in it is changed."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from inchworm.app.config.load import AppSpec, SanitizeSettings
from inchworm.app.config.schema import DEFAULT_DATA
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import Policy

BASE_URL = "OPENAI_BASE_URL"
"""The variable by which OpenAI's own clients are pointed elsewhere."""
ANTHROPIC_URL = "ANTHROPIC_BASE_URL"
"""The same of Anthropic's."""
_LONGEST = 60
_UNFIT = re.compile(r"[^a-z0-9]+")
_HERE = frozenset({"127.0.0.1", "localhost", "::1", "0.0.0.0"})  # noqa: S104  # compared with, bound nowhere


def observed(
    file: Path,
    *,
    environment: Mapping[str, str] = os.environ,
    own_ports: Iterable[int] = (),
) -> AppSpec:
    """What is assumed of a folder without ``inchworm.yaml``: its name, the data beside it, no metrics.

    Args:
        file: where ``inchworm.yaml`` would be.
        environment: where ``OPENAI_BASE_URL`` is looked up.
        own_ports: ports of this machine that are ours. Whoever exported the gateway's address for their
            program and starts us from the same shell must not make us forward to ourselves.
    """
    infrastructure: dict[str, str] = {"upstream": "openai"}
    if base_url := pointed(BASE_URL, environment, own_ports):
        infrastructure["base_url"] = base_url
    return AppSpec(
        app=AppRef(app=app_name(file.parent), environment="production"),
        configuration=Configuration.of({Layer.INFRASTRUCTURE: infrastructure}),
        metrics=(),
        policy=Policy(),
        after={},
        sanitize=SanitizeSettings(),
        data=file.parent / DEFAULT_DATA,
        recording=None,
        file=file,
    )


def pointed(variable: str, environment: Mapping[str, str], own_ports: Iterable[int]) -> str | None:
    """Where a variable points a provider's clients; ``None`` if nowhere, or at one of our own ports."""
    base_url = environment.get(variable, "").strip().rstrip("/")
    return base_url if base_url and not _ours(base_url, frozenset(own_ports)) else None


def app_name(folder: Path) -> str:
    """The folder's name as an app's: small letters, digits and hyphens; ``app`` if none of it remains."""
    plain = unicodedata.normalize("NFKD", folder.resolve().name).encode("ascii", "ignore").decode().lower()
    return _UNFIT.sub("-", plain).strip("-")[:_LONGEST].strip("-") or "app"


def _ours(base_url: str, own_ports: frozenset[int]) -> bool:
    """Whether an address is one of our own, or none at all."""
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:
        return True
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return True
    return parts.hostname in _HERE and port in own_ports
