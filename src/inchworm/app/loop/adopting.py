"""From observing to a declaration: what answers now is written down as ``inchworm.yaml``."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from inchworm.app.config.files import UnreadableError, read_text
from inchworm.app.config.lifted import Draft, draft
from inchworm.app.config.load import load
from inchworm.app.config.schema import DEFAULT_DATA
from inchworm.app.config.write import Seen, write_schema
from inchworm.app.house import House
from inchworm.capture.observed import Lifted
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import ConflictError, UsageError
from inchworm.domain.layers import Layer
from inchworm.domain.rendering import variables
from inchworm.domain.rollout import LedgerEntry, Lineage
from inchworm.domain.wording import counted, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written.

    Attributes:
        files: ``inchworm.yaml`` first.
        configuration: what it declares.
        notes: what a person should know of it, as sentences.
    """

    files: tuple[Path, ...]
    configuration: Configuration
    notes: tuple[str, ...]


def drafted(lifted: Lifted, seen: Seen) -> Draft:
    """What would be written."""
    return draft(seen, lifted.configuration, told=counted(lifted.seen, "request"))


def difference(file: Path, made: Draft) -> str:
    """How the draft differs from a file that is there, as a unified diff."""
    try:
        there = read_text(file)
    except UnreadableError as error:
        raise UsageError(f"{file}: {error.why}", hint=f"write beside it: --write {file}.new") from error
    lines = difflib.unified_diff(
        there.splitlines(), made.text.splitlines(), str(file), "told from traffic", lineterm=""
    )
    return "\n".join(lines)


def write(file: Path, lifted: Lifted, made: Draft) -> Written:
    """Write a draft down, and read it back.

    Raises:
        UsageError: if one of its files is there already; then nothing is written.
        ConfigError: if it cannot be read back.
    """
    files = {file: made.text} | {file.parent / path: text for path, text in made.files.items()}
    there = [path for path in files if path.exists()]
    if there:
        raise UsageError(
            f"{listed([str(path) for path in there])} is there already, and nothing is overwritten",
            hint="move it away, or write into another folder: inchworm adopt --from-traffic --write FILE",
        )
    for path, text in reversed(files.items()):  # what names the others last
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    write_schema(file.parent / DEFAULT_DATA)
    configuration = load(file).configuration
    return Written(
        files=tuple(files), configuration=configuration, notes=tuple(_notes(lifted, made, configuration))
    )


def take_back(house: House) -> Lineage:
    """Make nothing stable again, as before adopting; what is stored and written stays.

    Raises:
        NotFoundError: if nothing is stable.
        ConflictError: if something was queued or has moved since.
    """
    lineage = house.lineage()
    entry = LedgerEntry(
        app=house.app,
        at=house.now(),
        kind="configuration",
        actor=house.actor,
        what=f"{lineage.stable[:8]} is not stable any more: adopting was taken back.",
        data={"from": lineage.stable},
    )
    if not house.control.end_lineage(lineage, entry):
        raise ConflictError(
            f"{house.app} has had rollouts since, so that adopting cannot be taken back",
            hint="to return to a configuration: inchworm plan --to ID",
        )
    return lineage


def _notes(lifted: Lifted, made: Draft, configuration: Configuration) -> list[str]:
    notes: list[str] = []
    prompt = configuration.layer(Layer.PROMPT)
    names = sorted({name for text in prompt.values() for name in variables(text)})
    if names:
        notes.append(
            f"What differs from call to call became {counted(len(names), 'variable')}: {', '.join(names)}. "
            "Rename them as you like; the gateway reads their values from what your program sends."
        )
    if lifted.stand_ins:
        notes.append(
            f"Where personal data was taken out stands a variable: {', '.join(lifted.stand_ins)}. "
            "If it is always the same (your own address, say), write it there yourself."
        )
    if lifted.systems > 1:
        notes.append(
            f"Its requests begin with {lifted.systems} system messages, and a template says one: the gateway "
            "cannot apply this prompt until your program sends them as one."
        )
    for name in lifted.varying:
        what = "The model changes" if name == "model" else f"{name} changes"
        notes.append(f"{what} from request to request, and was left out.")
    notes += [
        f"{name} is sent as well; this file has no key for it, and callers keep sending it."
        for name in made.left_out
    ]
    return notes
