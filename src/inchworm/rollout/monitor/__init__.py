"""The monitor: units in, evidence out. Pure, O(1) in the number of units, resumable bit for bit.

However the units are cut into batches, the state that follows is the same to the bit: every test looks at
every unit (the sample ratio at every 64th), never at the end of whatever batch came in. So evidence that
passed its line inside a batch counts even if it fell below the line again (P(ever E ≥ 1/α) ≤ α).

What is fed where:

- Each clock has a watermark of its own and consumes the units in the order of their assignment when its
  outcomes are due: a fast outage does not wait for a label. The judged clock keeps the units that were drawn
  to be judged, with the probability of the candidate among these.
- A missing outcome is 0 in both arms where absence is failure, and left out where absence is void.
- A unit on which the harness or a judge failed is left out where it has no value: an error is never a 0.
- Whatever is left out is watched: a second process bets that values arrive more often in one arm. Past its
  line the metric is void: it no longer rolls back or expands, and its harm pauses.
- Clusters have harm processes of their own, and the pairs of shadow stages are evidence apart.

``state`` is what is remembered, of the ``parts``, ``formats`` their JSON form; ``splitting`` consumes units
and ``shadowing`` pairs.
"""

from inchworm.rollout.evidence.populations import design_of, margin_at
from inchworm.rollout.monitor.parts import MetricState
from inchworm.rollout.monitor.shadowing import consume_pairs
from inchworm.rollout.monitor.splitting import RATIO_EVERY, consume
from inchworm.rollout.monitor.state import FORMAT, MonitorState, empty

__all__ = [
    "FORMAT",
    "RATIO_EVERY",
    "MetricState",
    "MonitorState",
    "consume",
    "consume_pairs",
    "design_of",
    "empty",
    "margin_at",
]
