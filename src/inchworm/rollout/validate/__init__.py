"""Can this configuration run at all? Every intermediate configuration of a plan must.

A validator is a pure function from a configuration and what is known of the app to problems; the table
:data:`VALIDATORS` lists ours, each with what it looks at, so that a plan can say how it was validated. Others
are installed beside them (entry points of the group ``inchworm.validators``) and handed in with
:class:`Known`. Where layers are keyed by call, each call's own values are looked at.
"""

from __future__ import annotations

from inchworm.domain.calls import call_names, for_call
from inchworm.domain.configuration import Configuration
from inchworm.rollout.validate.known import (
    CHARACTERS_PER_TOKEN,
    Known,
    Problem,
    Recorded,
    Validator,
)
from inchworm.rollout.validate.models import endpoint, model_limits, model_parameters
from inchworm.rollout.validate.prompts import documents_shown, few_shot, json_wanted, templates
from inchworm.rollout.validate.sizes import deadline, longest_tokens, ranges, retrieval, window
from inchworm.rollout.validate.tools import prompt_tools, schemas

VALIDATORS: tuple[tuple[str, Validator], ...] = (
    ("values lie in their ranges", ranges),
    ("templates are well formed and name only recorded variables", templates),
    ("few-shot examples fill the template", few_shot),
    ("the longest recorded input and the answer fit the window", window),
    ("enough retrieved documents were recorded", retrieval),
    ("documents that are kept are shown", documents_shown),
    ("window and answer are within the model's limits", model_limits),
    ("the model takes the parameters", model_parameters),
    ("the model is served where calls go", endpoint),
    ("tools have names and schemas, and the chosen one exists", schemas),
    ("the prompt names only tools that exist", prompt_tools),
    ("a prompt that must speak of JSON does", json_wanted),
    ("a full answer can come in time", deadline),
)
"""What is looked at, and the function that looks."""

__all__ = [
    "CHARACTERS_PER_TOKEN",
    "VALIDATORS",
    "Known",
    "Problem",
    "Recorded",
    "Validator",
    "checks",
    "doubts",
    "lived_with",
    "longest_tokens",
    "validate",
]


def validate(configuration: Configuration, known: Known) -> tuple[Problem, ...]:
    """Every reason why ``configuration`` cannot run, in the order of :data:`VALIDATORS`."""
    return tuple(
        problem
        for problem in _all(configuration, known)
        if problem.certain and problem.message not in known.accepted
    )


def doubts(configuration: Configuration, known: Known) -> tuple[Problem, ...]:
    """What runs and may not do what is wanted, in the same order: to be said, and no reason to refuse."""
    return tuple(problem for problem in _all(configuration, known) if not problem.certain)


def lived_with(stable: Configuration, known: Known) -> frozenset[str]:
    """Messages of problems that what runs today has: it runs, so they are no reason to refuse a change.

    Only what is held against facts of models and tools, and by installed validators: they can be wrong. What
    the recorded traffic says of values and templates stays a problem, for traffic changes.
    """
    by_traffic: frozenset[Validator] = frozenset({ranges, templates, few_shot, window, retrieval})
    return frozenset(problem.message for problem in _all(stable, known, by_traffic) if problem.certain)


def checks(known: Known) -> tuple[str, ...]:
    """What is looked at, ours and what was installed beside."""
    return tuple(what for what, _ in (*VALIDATORS, *known.also))


def _all(
    configuration: Configuration, known: Known, leave_out: frozenset[Validator] = frozenset()
) -> list[Problem]:
    found = _of(for_call(configuration, None), known, leave_out)
    said = {problem.message for problem in found}
    for call in call_names(configuration):
        for problem in _of(for_call(configuration, call), known.of(call), leave_out):
            if problem.message not in said:
                found.append(
                    Problem(
                        layers=problem.layers,
                        message=f"call {call}: {problem.message}",
                        certain=problem.certain,
                    )
                )
    return found


def _of(configuration: Configuration, known: Known, leave_out: frozenset[Validator]) -> list[Problem]:
    return [
        problem
        for _, validator in (*VALIDATORS, *known.also)
        if validator not in leave_out
        for problem in validator(configuration, known)
    ]
