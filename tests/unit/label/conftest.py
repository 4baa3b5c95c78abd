"""A small corpus whose topics are known, because it was written topic by topic."""

import itertools

import pytest

TOPICS = {
    "parking": (
        ["parking permit", "residents parking permit", "parking permit renewal"],
        ["cost", "expire", "be extended", "arrive by post"],
    ),
    "library": (
        ["library card", "borrowed library books", "library fine"],
        ["be renewed online", "be paid", "be returned late", "be reserved"],
    ),
    "swimming": (
        ["swimming pool", "children swimming lesson", "swimming pool sauna"],
        ["open on sunday", "cost per visit", "close in winter", "admit babies"],
    ),
    "waste": (
        ["garden waste collection", "recycling bin", "waste bin"],
        ["be emptied", "be replaced", "take glass", "overflow"],
    ),
}
FRAMES = [
    "When does the {} {}?",
    "Hello, can the {} {}? Thanks!",
    "My name is NAME_1. How can the {} {}? Write to EMAIL_1.",
    "{} {} please",
]


@pytest.fixture(scope="session")
def corpus() -> tuple[list[str], list[str]]:
    """Texts and their topics."""
    texts, topics = [], []
    for topic, (subjects, verbs) in TOPICS.items():
        for subject, verb, frame in itertools.product(subjects, verbs, FRAMES):
            texts.append(frame.format(subject, verb))
            topics.append(topic)
    return texts, topics
