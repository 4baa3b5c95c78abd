"""What is sent: JSON ``notify/1`` for programs, a message for Slack. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, assert_never

from inchworm.domain.notice import FORMAT, Format, Notice
from inchworm.store.control import AuditHead

_LONGEST = 2_500
"""Of a sentence; Slack refuses a section's text beyond 3,000 characters (docs.slack.dev, section block)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is known when a notice is sent, and not when it was kept.

    Attributes:
        url: of the pages, without a slash at the end; ``None`` if nobody knows.
        head: the end of the audit trail, which whoever keeps the notice then keeps elsewhere.
    """

    url: str | None
    head: AuditHead


def written(notice: Notice, form: Format, around: Around) -> bytes:
    """The body of a request, JSON in UTF-8."""
    match form:
        case Format.WEBHOOK:
            said = webhook(notice, around)
        case Format.SLACK:
            said = slack(notice, around)
        case _:
            assert_never(form)
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def webhook(notice: Notice, around: Around) -> dict[str, Any]:
    """``notify/1``: ``type``, ``timestamp`` and ``data`` as Standard Webhooks recommends ("Payload")."""
    return {
        "type": f"rollout.{notice.event}" if notice.data.get("rollout") else f"inchworm.{notice.event}",
        "format": FORMAT,
        "id": notice.message_id,
        "timestamp": datetime.fromtimestamp(notice.at, UTC).isoformat(timespec="milliseconds"),
        "data": {
            **notice.data,
            "links": links(notice, around.url),
            "audit": {"number": around.head.number, "hash": around.head.hash},
        },
    }


def slack(notice: Notice, around: Around) -> dict[str, Any]:
    """A message of an incoming webhook: the sentence, a link, and the command that undoes it. No colours."""
    data = notice.data
    sentence = _said(data["sentence"])
    first = f"*{_plain(data['app'])}*: {sentence}"
    found = links(notice, around.url)
    rollout = data.get("rollout") or {}
    beside = [
        *([f"<{found['rollout']}|{_plain(str(rollout.get('id')))}>"] if "rollout" in found else []),
        *([f"Undo: `{_plain(data['undo'])}`"] if data.get("undo") else []),
    ]
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": first}},
    ]
    if beside:
        blocks.append(
            {"type": "context", "elements": [{"type": "mrkdwn", "text": " · ".join(beside)}]},
        )
    return {"text": f"{_plain(data['app'])}: {sentence}", "blocks": blocks}


def links(notice: Notice, url: str | None) -> dict[str, str]:
    """Where to look; empty if nobody knows where the pages are."""
    rollout = notice.data.get("rollout")
    if url is None:
        return {}
    if rollout is None:
        return {"pages": f"{url}/"}
    return {"rollout": f"{url}/rollouts/{rollout['id']}", "api": f"{url}/api/v1/rollouts/{rollout['id']}"}


def _plain(text: str) -> str:
    """Text that means itself: Slack asks for these three to be replaced (docs.slack.dev, formatting text)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _said(text: str) -> str:
    """A sentence as Slack takes it; one that is too long is cut, and never within what stands for a sign."""
    signs, length = list[str](), 0
    for sign in text:
        plain = _plain(sign)
        length += len(plain)
        if length > _LONGEST:
            return f"{''.join(signs)}…"
        signs.append(plain)
    return "".join(signs)
