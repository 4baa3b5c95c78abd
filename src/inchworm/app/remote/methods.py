"""What of the stores may be called over the wire, by whom, and under which names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from inchworm.domain.access import Scope
from inchworm.store.control import ControlStore
from inchworm.store.traces import TraceStore

STORES: Mapping[str, type[TraceStore | ControlStore]] = {"traces": TraceStore, "control": ControlStore}


def _scopes(reading: str, writing: str, *, keys: str = "") -> dict[str, Scope]:
    return (
        dict.fromkeys(reading.split(), Scope.VIEWER)
        | dict.fromkeys(writing.split(), Scope.DEPLOYER)
        | dict.fromkeys(keys.split(), Scope.ADMIN)
    )


METHODS: Mapping[str, Mapping[str, Scope]] = {
    "traces": _scopes(
        "arrived arrived_after assignments changed_arms clusters count exposures_count facets iterate "
        "known known_mirrored latest_of_units last_mirrored last_order matured pairs period quality quantile "
        "scored scores_by_id scores_of seen shadow_of shadow_spent spans summary trace traces "
        "traces_of_spans traffic units",
        "add_exposures add_mirrored add_scores add_traces put_spans put_traces set_clusters",
    ),
    "control": _scopes(
        "approvals apps attributions audit audit_counts audit_head audit_lines audit_page benchmark "
        "benchmarks blob blob_at configuration configurations decisions eval_set eval_sets "
        "find_configuration import_seen imports ledger ledger_page lineage lineages monitor notice_counts "
        "notices plan plans points proposal proposals rollout rollouts serving servings stable_at trials "
        "verify_audit watermarks work work_items",
        "add_notices add_work append_ledger close_proposal commit end_lineage enqueue fail_work "
        "finish_work lease_notices lease_work put_approval put_attribution put_benchmark put_blob "
        "put_configuration put_eval_set put_import put_plan put_proposal put_trials release_notices "
        "release_work reserve_rollouts retry_notices save_monitor save_point settle_notice start_lineage",
        keys="api_key api_keys put_api_key revoke_api_key",
    ),
}
"""The least scope that each method takes. What is not listed cannot be called."""
LOCAL: Mapping[str, Mapping[str, str]] = {
    "traces": {
        "open": "the server owns the file",
        "close": "closes the connection and not the server's store",
        "theirs": "forgetting is asked for by the API, and done by the server between rounds of its drain",
        "said_by": "as theirs",
        "said_by_others": "as theirs",
        "erase": "as theirs",
        "retirable": "retention is asked for by the API, and done by the server",
        "retire": "as retirable",
        "compact": "as retirable",
    },
    "control": {
        "open": "the server owns the file",
        "close": "closes the connection and not the server's store",
        "outbox": "the server's own says whom to tell, in its transaction",
        "changed": "tells a command whether to wake a server; whoever writes over the wire wakes it anyway",
        "touch_api_key": "the server itself says when a key was used",
        "ask_forgetting": "forgetting is asked for by the API: whom, only the server can seal",
        "forgetting": "as ask_forgetting",
        "forgettings": "as ask_forgetting",
        "forgetting_sealed": "as ask_forgetting",
        "move_forgetting": "as ask_forgetting",
        "forget_cases": "as ask_forgetting",
        "mentions": "as ask_forgetting",
        "compact": "as ask_forgetting",
    },
}
"""Methods that stay on this side, with the reason."""
INCHWORM = "inchworm"
"""The name under which the control loop acts, whoever runs it."""
_ACTORS: Mapping[str, Callable[[Mapping[str, Any]], Iterable[str]]] = {
    "append_ledger": lambda said: [said["entry"].actor],
    "commit": lambda said: [said["decision"].actor, *(one.actor for one in said.get("ledger", ()))],
    "end_lineage": lambda said: [said["entry"].actor],
    "enqueue": lambda said: [
        *(one.author for one in said["rollouts"]),
        *(one.actor for one in said["ledger"]),
    ],
    "put_api_key": lambda said: [said["key"].created_by],
    "put_approval": lambda said: [said["approval"].actor, said["entry"].actor],
    "put_plan": lambda said: [said["plan"].change.author],
    "revoke_api_key": lambda said: [said["actor"]],
    "start_lineage": lambda said: [said["entry"].actor],
}


def least(store: str, method: str, said: Mapping[str, Any]) -> Scope:
    """The scope that a call takes: an emergency is an admin's, by whichever way it comes in."""
    if (store, method) == ("control", "enqueue") and any(one.emergency for one in said["rollouts"]):
        return Scope.ADMIN
    return METHODS[store][method]


def actors(method: str, said: Mapping[str, Any]) -> set[str]:
    """Under whose names a call would act, besides the control loop's, which applies and approves nothing."""
    found = _ACTORS.get(method)
    names = set() if found is None else set(found(said))
    return names if method in {"enqueue", "put_approval"} else names - {INCHWORM}
