"""``inchworm`` as a process of its own, as people start it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PATIENCE_S = 300
SRC = Path(__file__).resolve().parents[2] / "src"


def interruptible():
    """Let Ctrl-C reach the process, also where the tests run in the background of a shell that ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Shell:
    """Starts ``inchworm`` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # none of pytest-cov's variables, and no colour or file of whoever runs the tests
        self.environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), "INCHWORM_ACTOR": "ana"}

    def start(self, *words, **options):
        """A process that is running."""
        return subprocess.Popen(
            [sys.executable, "-m", "inchworm.app.cli", *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=interruptible,  # noqa: PLW1509  # these tests start no threads
            **options,
        )

    def __call__(self, *words, exit_code=0, stdin=None):
        """A process that has ended, with what it printed."""
        with self.start(*words, stdin=subprocess.PIPE) as process:
            stdout, stderr = process.communicate(stdin, timeout=PATIENCE_S)
        assert process.returncode == exit_code, stdout + stderr
        assert "Traceback" not in stderr
        return stdout


@pytest.fixture
def inchworm(tmp_path):
    """``inchworm`` in a new folder."""
    return Shell(tmp_path)
