"""The demo's stage: the shop's files, the recording, and the configurations that the story visits."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from inchworm.domain.configuration import Configuration
from inchworm.domain.layers import Layer

_HERE = Path(__file__).parent
RECORDING = _HERE / "recordings" / "smollm2-135m.jsonl.gz"
"""Real answers of SmolLM2-135M-Instruct; ``scripts/record_demo.py`` records them again."""
WEEK = "week"
"""The eval set that the bundle is taken apart on: another, larger draw from the same traffic."""


COPY, FILE = "recording.jsonl.gz", "inchworm.yaml"


def shop_file() -> Path:
    """The shop's own ``inchworm.yaml``."""
    return _HERE / "fernhill" / "inchworm.yaml"


def set_up(folder: Path, recording: Path | None) -> Path:
    """Put the shop's files and the recording in ``folder``, if they are not there; its ``inchworm.yaml``."""
    file = folder / FILE
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if recording is not None:
            shutil.copyfile(recording, folder / COPY)
        shutil.copytree(_HERE / "fernhill", folder, dirs_exist_ok=True)
    return file


def write_down(file: Path, moved: Collection[Layer]) -> None:
    """Let the shop's ``inchworm.yaml`` say what has become stable, so that the next change starts there."""
    text = file.read_text(encoding="utf-8")
    for layer, old, new in (
        (Layer.PARAMETERS, "max_tokens: 64", "max_tokens: 32"),
        (Layer.CONTEXT, "documents: 1,", "documents: 3,"),
        (Layer.PROMPT, "prompts/examples.yaml", "prompts/examples-sentences.yaml"),
    ):
        if layer in moved:
            text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def tuesday(stable: Configuration) -> Configuration:
    """The pull request of Tuesday: three layers at once, each with a good reason.

    Shorter answers to save money, three documents because more must be better, and examples that
    answer in whole sentences.
    """
    return (
        stable.with_layer(Layer.PARAMETERS, stable.layer(Layer.PARAMETERS) | {"max_tokens": 32})
        .with_layer(Layer.CONTEXT, stable.layer(Layer.CONTEXT) | {"documents": 3})
        .with_layer(Layer.PROMPT, stable.layer(Layer.PROMPT) | {"few_shot": _examples()})
    )


def livelier(stable: Configuration) -> Configuration:
    """The next change that somebody wants: answers that are less alike."""
    return stable.with_layer(Layer.PARAMETERS, stable.layer(Layer.PARAMETERS) | {"temperature": 0.7})


def candidates(stable: Configuration) -> list[tuple[Configuration, bool]]:
    """Every configuration that the story measures, and whether it also answers live traffic."""
    wanted = tuesday(stable)
    layers = stable.moved(wanted)
    found: list[tuple[Configuration, bool]] = []
    for chosen in product((False, True), repeat=len(layers)):
        moved = tuple(layer for layer, take in zip(layers, chosen, strict=True) if take)
        # live: stable, what the steps expose (with the parameters moved first), and the whole bundle
        live = not moved or Layer.PARAMETERS in moved
        found.append((stable.with_layers_of(wanted, moved), live))
    winner = stable.with_layers_of(wanted, [layer for layer in layers if layer is not Layer.CONTEXT])
    found.append((livelier(winner), False))
    return found


def _examples() -> Any:
    path = _HERE / "fernhill" / "prompts" / "examples-sentences.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))
