"""The base install is light: it goes into other people's programs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src"
BASE_DEPENDENCIES = {"xxhash"}

# What each prints: the top-level modules that the import brought in.
PROBE = """
import sys
before = set(sys.modules)
import {module}
print(*sorted({{name.partition(".")[0] for name in set(sys.modules) - before}}))
"""


def loaded_by(module: str) -> set[str]:
    """The top-level modules that importing ``module`` in a fresh interpreter adds."""
    # None of pytest-cov's variables: measuring coverage imports modules of its own.
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC)}
    code = PROBE.format(module=module)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["inchworm", "inchworm.domain"])
def test_importing_it_loads_only_the_standard_library_and_base_dependencies(module):
    foreign = loaded_by(module) - set(sys.stdlib_module_names) - BASE_DEPENDENCIES
    assert foreign == {"inchworm"}


@pytest.mark.parametrize("module", ["inchworm.capture.client", "inchworm; inchworm.resolve, inchworm.Client"])
def test_the_client_library_needs_nothing_more(module):
    # httpx comes with the user's SDK, and only when a client for it is asked for.
    foreign = loaded_by(module) - set(sys.stdlib_module_names) - BASE_DEPENDENCIES
    assert foreign == {"inchworm"}


def test_importing_it_loads_neither_the_client_nor_what_talks_to_the_net():
    assert loaded_by("inchworm").isdisjoint({"asyncio", "http", "email", "socket", "ssl", "json", "xxhash"})


def test_the_probe_sees_what_is_heavy():
    assert "numpy" in loaded_by("inchworm.stats, numpy")
