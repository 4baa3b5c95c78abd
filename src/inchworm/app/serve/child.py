"""A part of the server as a process of its own, which ends when the supervisor does.

``python -m inchworm.app.serve.child MODULE ARGUMENT…`` runs a module so. The supervisor holds the other end
of the part's standard input: when it is gone, however it went, the part stops in order.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

from inchworm.app.serve.logs import Readable

_PATIENCE_S = 20.0
_ENDED = 70  # EX_SOFTWARE of sysexits.h: it did not stop in order


def end_with_parent() -> None:
    """From now on, stop this process in order when its standard input ends; by force if it does not."""
    threading.Thread(target=_watch, name="parent", daemon=True).start()


def _watch() -> None:
    handle = sys.stdin.fileno()
    while os.read(handle, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_PATIENCE_S)
    os._exit(_ENDED)


def main(arguments: list[str]) -> None:
    """Run ``python -m`` with what is named."""
    module, *rest = arguments
    end_with_parent()
    if sys.stderr.isatty():
        sys.stderr = Readable(sys.stderr, module.rpartition(".")[2])
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
