"""What validation looked at, with its values: a plan that says "valid" also says by what."""

from __future__ import annotations

from collections.abc import Iterator

from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import TemplateError
from inchworm.domain.layers import Layer
from inchworm.domain.rendering import DOCUMENTS, variables
from inchworm.rollout.validate import Known, longest_tokens


def facts(configuration: Configuration, known: Known) -> tuple[str, ...]:
    """Half sentences about a configuration that can run: ``window 8,192: fits, longest case 2,911 tokens``.

    Where nothing is recorded that a value could be held against, that is said.
    """
    return (*_window(configuration, known), *_documents(configuration, known), *_prompt(configuration, known))


def _window(configuration: Configuration, known: Known) -> Iterator[str]:
    window = configuration.layer(Layer.CONTEXT).get("window_tokens")
    if not isinstance(window, int):
        return
    longest = longest_tokens(configuration, known)
    answer = configuration.layer(Layer.PARAMETERS).get("max_tokens")
    room = f" and {answer:,} of answer" if isinstance(answer, int) else ""
    if longest is None:
        yield f"window {window:,}: no recorded input to hold against it"
    else:
        yield f"window {window:,}: fits, longest case about {longest:,} tokens{room}"


def _documents(configuration: Configuration, known: Known) -> Iterator[str]:
    wanted = configuration.layer(Layer.CONTEXT).get(DOCUMENTS)
    if not isinstance(wanted, int):
        return
    seen = [len(inputs[DOCUMENTS]) for inputs in known.longest if isinstance(inputs.get(DOCUMENTS), list)]
    if seen:
        yield f"documents {wanted:,}: up to {max(seen):,} were recorded"


def _prompt(configuration: Configuration, known: Known) -> Iterator[str]:
    prompt = configuration.layer(Layer.PROMPT)
    named = set[str]()
    for key in ("system", "user"):
        try:
            named |= variables(prompt[key]) if isinstance(prompt.get(key), str) else set()
        except TemplateError:
            return  # said by the validator of templates
    if not named:
        return
    listed = ", ".join(f"{{{name}}}" for name in sorted(named))
    yield f"prompt uses {listed}: " + (
        "no recorded input to hold against it" if known.inputs is None else "all recorded"
    )
