"""``models:`` in ``inchworm.yaml``: models of one's own, and corrections of what Inchworm knows of others."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError

from inchworm.app.config.files import UnreadableError, read_text
from inchworm.app.config.layers import Keys
from inchworm.app.config.modelentry import ModelEntry
from inchworm.app.config.problems import KeyPath, Problems, dotted
from inchworm.app.config.translate import translate
from inchworm.app.config.yamltree import Document, parse
from inchworm.providers.catalogue import ModelFacts


class ModelsFile(Keys):
    """A file of models."""

    models: list[ModelEntry] = Field(description="The models.")


def facts(
    said: str | list[ModelEntry] | None, document: Document, problems: Problems
) -> tuple[ModelFacts, ...]:
    """The models that ``models:`` lists, in place or in the file that it names.

    Args:
        said: a path from the folder of ``inchworm.yaml``, or the models themselves.
        document: ``inchworm.yaml``.
        problems: where it is noted what is wrong.
    """
    if said is None:
        return ()
    entries = _read(said, document, problems) if isinstance(said, str) else said
    names = [(entry.provider, entry.name) for entry in entries]
    for number, name in enumerate(names):
        if name in names[:number]:
            place: KeyPath = ("models", number) if isinstance(said, list) else ("models",)
            problems.add(
                f"{dotted(place)} lists {name[1]} of {name[0]} twice",
                file=document.file,
                line=document.line(place),
            )
    return tuple(ModelFacts.of(entry.model_dump(exclude_unset=True), own=True) for entry in entries)


def _read(name: str, document: Document, problems: Problems) -> list[ModelEntry]:
    path = Path(document.file).parent / name
    by = f" (models in {document.file} names it)"
    try:
        text = read_text(path)
    except UnreadableError as error:
        here = error.line is None
        problems.add(
            f"models names {name!r}: {error.why}" if here else error.why + by,
            file=document.file if here else str(path),
            line=document.line(("models",)) if here else error.line,
            hint=f"paths begin in the folder of {document.file}" if here else None,
        )
        return []
    before = len(problems.found)
    own = parse(text, file=str(path), problems=problems)
    if len(problems.found) > before:
        return []
    try:
        return ModelsFile.model_validate(own.value).models
    except ValidationError as error:
        translate(error, own, problems, note=by)
        return []
