"""What is told as JSON, by the command line with ``--json`` and by the API: the same of the same thing."""

from __future__ import annotations

from inchworm.app.asjson.plans import plan, planned
from inchworm.app.asjson.rollouts import (
    acted,
    applied,
    approval,
    approved,
    decision,
    queue,
    replayed,
    resolved,
    retried,
    rollout,
    seen,
)
from inchworm.app.asjson.running import (
    api_key,
    audit_check,
    audit_entry,
    model,
    notice,
    retiring,
    standing,
    target,
)
from inchworm.app.asjson.traffic import (
    eval_set,
    eval_set_row,
    findings,
    picture,
    proposal,
    span,
    trace,
    whole_trace,
)
from inchworm.app.asjson.values import data_of, difference, ledger_entry

__all__ = [
    "acted",
    "api_key",
    "applied",
    "approval",
    "approved",
    "audit_check",
    "audit_entry",
    "data_of",
    "decision",
    "difference",
    "eval_set",
    "eval_set_row",
    "findings",
    "ledger_entry",
    "model",
    "notice",
    "picture",
    "plan",
    "planned",
    "proposal",
    "queue",
    "replayed",
    "resolved",
    "retiring",
    "retried",
    "rollout",
    "seen",
    "span",
    "standing",
    "target",
    "trace",
    "whole_trace",
]
