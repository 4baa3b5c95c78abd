"""Other people's decision rules, to be put beside ours: when would they have called harm?

Each rule is a pure function of what was seen at every candidate observation (``Seen``) and says where it
would call harm. None is used to decide anything; ``inchworm rollout simulate`` and the benchmark run them.
They are written anew from their published formulas, which each cites.
"""

from inchworm.stats.rules.asymptotic import (
    fixed_z,
    growthbook,
    growthbook_one_sided,
    msprt,
    threshold,
)
from inchworm.stats.rules.group_sequential import boundary, obrien_fleming, obrien_fleming_peeked
from inchworm.stats.rules.mann_whitney import kayenta
from inchworm.stats.rules.oracle import oracle
from inchworm.stats.rules.safe import safestats
from inchworm.stats.rules.seen import Seen, blocked, first, seen

__all__ = [
    "Seen",
    "blocked",
    "boundary",
    "first",
    "fixed_z",
    "growthbook",
    "growthbook_one_sided",
    "kayenta",
    "msprt",
    "obrien_fleming",
    "obrien_fleming_peeked",
    "oracle",
    "safestats",
    "seen",
    "threshold",
]
