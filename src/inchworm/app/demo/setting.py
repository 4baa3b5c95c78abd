"""The demo's stage: the shop's files, the recording, and the configurations that the story visits."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from inchworm.domain.configuration import Configuration
from inchworm.domain.layers import Layer

_HERE = Path(__file__).parent
RECORDING = _HERE / "recordings" / "smollm2-135m.jsonl.gz"
"""Real answers of SmolLM2-135M-Instruct; ``scripts/record_demo.py`` records them again."""


def shop_file() -> Path:
    """The shop's own ``inchworm.yaml``."""
    return _HERE / "fernhill" / "inchworm.yaml"


def set_up(folder: Path) -> Path:
    """Put the shop's files in ``folder``, where they are not yet; its ``inchworm.yaml``."""
    folder.mkdir(parents=True, exist_ok=True)
    with as_file(files("inchworm.app.demo").joinpath("fernhill")) as shop:
        shutil.copytree(shop, folder, dirs_exist_ok=True)
    return folder / "inchworm.yaml"


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
