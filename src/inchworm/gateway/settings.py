"""What a gateway is told when it starts."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inchworm.capture.places import GATEWAY_PORT, SPOOL
from inchworm.domain.errors import UsageError

DEFAULT_BASE_URL = "https://api.openai.com/v1"
"""Where apps are forwarded whose infrastructure layer does not say, unless the gateway is told otherwise."""
DEFAULT_ANTHROPIC_URL = "https://api.anthropic.com/v1"
"""The same for calls in Anthropic's protocol."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one gateway runs.

    Attributes:
        data: the data directory.
        control: the server's address, e.g. ``http://127.0.0.1:4140``.
        host: where it listens; the default is this machine alone.
        port: where it listens.
        name: its name, unique among the gateways of an installation; its folders bear it.
        upstream: where an app is forwarded to whose infrastructure layer does not say, up to and with /v1.
        anthropic: the same for calls in Anthropic's protocol.
        replay: whether a recording is played: the time of day and the duration of answers come from headers.
        max_body: bytes that a request may have.
        recorded_bytes: bytes of an answer that are recorded; what is beyond passes unrecorded.
        deadline_s: seconds an answer may take if its configuration does not say.
        grace_s: seconds that requests in flight get when the gateway is stopped.
        spool_limit: bytes that the spool may hold before records are refused.
        poll_s: seconds that the server may keep a question for news open.
        mirrored_at_once: calls whose mirrored one is not done yet; further ones are not mirrored.
        mirrored_bytes: bytes of requests that are held for that at most.
        held_bytes: bytes that the requests for models may have together that are being answered.
        kept_bytes: bytes of answers that are held for their records together; more passes unrecorded.
        upstream_at_once: requests to one provider in flight whose infrastructure layer says no
            ``max_concurrency``.
        require_key: whether nobody is served who does not show a key of this installation.
    """

    data: Path
    control: str
    host: str = "127.0.0.1"
    port: int = GATEWAY_PORT
    name: str = "local"
    upstream: str = DEFAULT_BASE_URL
    anthropic: str = DEFAULT_ANTHROPIC_URL
    replay: bool = False
    max_body: int = 32 << 20
    recorded_bytes: int = 16 << 20
    deadline_s: float = 600.0
    grace_s: float = 10.0
    spool_limit: int = 2 << 30
    poll_s: float = 20.0
    mirrored_at_once: int = 64
    mirrored_bytes: int = 64 << 20
    held_bytes: int = 512 << 20
    kept_bytes: int = 256 << 20
    upstream_at_once: int = 1024
    require_key: bool = False

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            msg = f'"{self.name}" cannot be a gateway\'s name: letters, digits and . _ - only, 64 at most'
            raise UsageError(msg)

    @property
    def url(self) -> str:
        """Where it listens, as the server is told."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def spool(self) -> Path:
        """Its folder in the spool."""
        return self.data / SPOOL / self.name

    @property
    def folder(self) -> Path:
        """Where it keeps what it needs to serve without the server."""
        return self.data / "gateway" / self.name


def settings_from(arguments: Sequence[str]) -> Settings:
    """Read the command line of ``python -m inchworm.gateway``.

    Raises:
        UsageError: if the name cannot be one.
        SystemExit: for what argparse refuses, with its message.
    """
    parser = argparse.ArgumentParser(prog="python -m inchworm.gateway", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the data directory")
    parser.add_argument("--control", required=True, help="the server's address")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", type=int, default=GATEWAY_PORT, help="where to listen")
    parser.add_argument("--name", default="local", help="unique among the installation's gateways")
    parser.add_argument("--upstream", default=DEFAULT_BASE_URL, help="where to, if the app does not say")
    parser.add_argument("--anthropic", default=DEFAULT_ANTHROPIC_URL, help="the same, in its protocol")
    parser.add_argument("--replay", action="store_true", help="take times from headers, to play a recording")
    parser.add_argument("--max-body", type=int, default=32 << 20, help="bytes that a request may have")
    parser.add_argument("--deadline", type=float, default=600.0, help="seconds, where nothing else is said")
    parser.add_argument("--grace", type=float, default=10.0, help="seconds for what is in flight at the end")
    parser.add_argument("--spool-limit", type=int, default=2 << 30, help="bytes that the spool may hold")
    parser.add_argument("--mirrored-at-once", type=int, default=64, help="calls of a shadow stage in flight")
    parser.add_argument("--held-bytes", type=int, default=512 << 20, help="bytes of requests in flight")
    parser.add_argument("--kept-bytes", type=int, default=256 << 20, help="bytes of answers in flight")
    parser.add_argument("--require-key", action="store_true", help="serve nobody without a key")
    got = parser.parse_args(arguments)
    return Settings(
        data=got.data,
        control=got.control,
        host=got.host,
        port=got.port,
        name=got.name,
        upstream=got.upstream,
        anthropic=got.anthropic,
        replay=got.replay,
        max_body=got.max_body,
        deadline_s=got.deadline,
        grace_s=got.grace,
        spool_limit=got.spool_limit,
        mirrored_at_once=got.mirrored_at_once,
        held_bytes=got.held_bytes,
        kept_bytes=got.kept_bytes,
        require_key=got.require_key,
    )
