"""Takes a unit out of a trace store, and kills itself on the way: ``python erasing.py FILE WHERE UNIT``."""

import os
import signal
import sys
from pathlib import Path
from unittest.mock import patch

from inchworm.store.traces import TraceStore, swapping


def killed(*_: object) -> None:
    """The process ends at once, as with a power cut."""
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Do it."""
    path, where, unit = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    swap = swapping.swap

    def swapped(fresh: Path, old: Path) -> None:
        swap(fresh, old)
        killed()

    place, act = {
        "half filled": ("inchworm.store.traces.rollups.rebuild", killed),
        "before the swap": ("inchworm.store.traces.swapping.swap", killed),
        "after the swap": ("inchworm.store.traces.swapping.swap", swapped),
    }[where]
    store = TraceStore.open(path)
    with patch(place, act):
        store.erase(store.theirs([unit]))
    raise SystemExit(3)


if __name__ == "__main__":
    main()
