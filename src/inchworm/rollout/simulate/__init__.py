"""Before anyone is exposed: what would a policy do, and what would other rules do?

Pure and seeded: the same question gives the same answer.
"""

from inchworm.domain.errors import InputError
from inchworm.rollout.simulate import mirrored, ours, peers
from inchworm.rollout.simulate.declared import declared
from inchworm.rollout.simulate.question import Judged, Question, Rates, Shadow, Span, Tables, bounded
from inchworm.rollout.simulate.result import Simulated, summary

__all__ = [
    "INCHWORM",
    "METHODS",
    "Judged",
    "Question",
    "Rates",
    "Shadow",
    "Simulated",
    "Span",
    "Tables",
    "bounded",
    "declared",
    "simulate",
]

INCHWORM = "inchworm"
METHODS = (INCHWORM, *peers.PEERS)
"""What ``--method`` takes."""


def simulate(question: Question, method: str = INCHWORM) -> Simulated:
    """What one method would do.

    Raises:
        InputError: if there is no such method, or it is not made for such a question.
    """
    if method not in METHODS:
        raise InputError(f'there is no method "{method}"', hint=f"one of: {', '.join(METHODS)}")
    if question.shadow is not None:
        if method != INCHWORM:
            raise InputError(
                f"{method} knows no pairs", hint="a shadow stage is simulated for inchworm alone"
            )
        return summary(method, question, mirrored.play(question))
    ends = ours.play(question) if method == INCHWORM else peers.play(question, method)
    return summary(method, question, ends)
