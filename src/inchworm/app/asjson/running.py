"""The installation itself: where it stands, what models are, who did what, who is told, who may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # each is wanted by the command that shows it, and by no other
    from inchworm.app.loop.retiring import Retiring
    from inchworm.app.loop.standing import Standing
    from inchworm.domain.notice import Notice, Target
    from inchworm.domain.rollout import Rollout
    from inchworm.providers.catalogue import ModelFacts
    from inchworm.store.control import ApiKey, AuditCheck, AuditEntry


def standing(seen: Standing, following: str) -> dict[str, Any]:
    """Where an app stands, and what to do next."""
    lineage = seen.lineage
    return {
        "app": seen.app,
        "declared": seen.declared,
        "stable": None
        if lineage is None
        else {"configuration": lineage.stable, "since": lineage.since, "note": lineage.note},
        "in_flight": None if seen.in_flight is None else _named(seen.in_flight),
        "queued": [_named(one) for one in seen.queued],
        "eval_sets": [{"id": name, "cases": cases} for name, cases in seen.eval_sets],
        "traces": seen.traces,
        "traces_unknown_because": seen.hindrance,
        "period": None if seen.period is None else {"from": seen.period[0], "to": seen.period[1]},
        "proposals": seen.proposals,
        "notifications_given_up": seen.untold,
        "notices": [retiring(one) for one in seen.notices],
        "next": following or None,
    }


def retiring(one: Retiring) -> dict[str, Any]:
    """A configured model that is switched off soon, or was."""
    return {
        "level": one.level,
        "model": one.model,
        "retires_on": one.retires_on,
        "days": one.days,
        "where": list(one.where),
        "text": one.text,
        "sources": list(one.sources),
    }


def model(facts: ModelFacts) -> dict[str, Any]:
    """What is known of a model; ``null`` and empty is not known."""
    return {
        "name": facts.name,
        "provider": facts.provider,
        "also": list(facts.also),
        "context_tokens": facts.context_tokens,
        "output_tokens": facts.output_tokens,
        "refuses": sorted(facts.refuses),
        "only": dict(facts.only),
        "at_most": dict(facts.at_most),
        "one_of": [sorted(group) for group in facts.one_of],
        "instead": dict(facts.instead),
        "retires_on": None if facts.retires_on is None else facts.retires_on.isoformat(),
        "earliest": facts.earliest,
        "replaced_by": facts.replaced_by,
        "sources": list(facts.sources),
        "checked": None if facts.checked is None else facts.checked.isoformat(),
        "own": facts.own,
    }


def _named(rollout: Rollout) -> dict[str, Any]:
    return {
        "id": rollout.id,
        "layer": str(rollout.layer),
        "state": rollout.state.value,
        "stage": rollout.stage,
        "because": rollout.because,
    }


def audit_entry(entry: AuditEntry) -> dict[str, Any]:
    """Who did what."""
    return {
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "because": entry.because,
        "number": entry.number,
        "hash": entry.hash,
    }


def audit_check(check: AuditCheck) -> dict[str, Any]:
    """Whether the audit trail is what was written."""
    return {
        "whole": not check.breaks,
        "entries": check.entries,
        "head": {"number": check.head.number, "hash": check.head.hash},
        "breaks": [{"number": one.number, "because": one.because} for one in check.breaks],
    }


def target(one: Target) -> dict[str, Any]:
    """Who is told, and of what; an address that stands in a variable is named by it."""
    return {
        "key": one.key,
        "url": one.url,
        "format": one.format.value,
        "events": list(one.events),
        "signed": one.secret is not None,
    }


def notice(one: Notice) -> dict[str, Any]:
    """A notification: what it tells, and how far it has come."""
    return {
        "id": one.id,
        "message": one.message_id,
        "target": one.target,
        "event": one.event,
        "at": one.at,
        "state": one.state.value,
        "attempts": one.attempts,
        "due_at": one.due_at,
        "error": one.error,
        "sentence": one.data.get("sentence"),
    }


def api_key(key: ApiKey) -> dict[str, Any]:
    """A key, without anything that it could be made from."""
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope.value,
        "app": None if key.app is None else str(key.app),
        "created_at": key.created_at,
        "created_by": key.created_by,
        "expires_at": key.expires_at,
        "used_at": key.used_at,
        "revoked_at": key.revoked_at,
    }
