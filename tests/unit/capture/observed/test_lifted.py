"""Lifted templates read every rendering back: values are recovered, and fill it to the byte."""

import random

import pytest
from tests.unit.capture.observed.traffic import lifted, support, trace, traces, watch, words

from inchworm.capture.observed.lifted import templates
from inchworm.capture.observed.template import Gap, Template
from inchworm.domain.layers import Layer
from inchworm.domain.lifting import extract
from inchworm.domain.rendering import fill

PAGES = [f"Help page {n}.\n{words(random.Random(n), 120)}.\nWrite to us by e-mail." for n in range(40)]


def retrieval(dice, number):
    found = "\n\n".join(dice.sample(PAGES, 3))
    return trace(number, f"Answer from these pages only.\n\n{found}", f"Question: {words(dice, 9)}\n")


def optional(dice, number):
    text = "You are a helpful assistant of a shop.\n" + "The customer is important.\n" * (dice.random() < 0.3)
    return trace(number, f"{text}Tier: {dice.choice(['free', 'paid', 'gold'])}.\nBe brief.", words(dice, 9))


def braces(dice, number):
    return trace(number, 'Answer as {"answer": "..."} for ' + dice.choice("ABC") + " {only}.", words(dice, 9))


@pytest.mark.parametrize("make", [support, retrieval, optional, braces])
def test_held_out_renderings_are_read_back_and_filled_to_the_byte(make):
    observer, _ = watch(make, 400)
    prompt = lifted(observer).configuration.layer(Layer.PROMPT)
    held_out = list(traces(make, 300, first=400))
    exact = {"system": 0, "user": 0}
    for one in held_out:
        for message in one.inputs["messages"]:
            template = prompt[message["role"]]
            values = extract(template, message["content"])
            if values is not None:
                assert fill(template, values) == message["content"]
                exact[message["role"]] += 1
    assert min(exact.values()) >= 0.95 * len(held_out)


@pytest.mark.parametrize(
    ("pieces", "written", "stand_ins"),
    [
        (["You are {x}. ", Gap(), ""], "You are {{x}}. {question}", ()),
        (["Question: ", Gap(), "\nContext:\n", Gap()], "Question: {question}\nContext:\n{context}", ()),
        (["Today is ", Gap(), "."], "Today is {date}.", ()),
        (["On ", Gap("date"), " and ", Gap("date")], "On {date} and {date_2}", ()),
        (
            ["Write to ", Gap("email"), " about ", Gap("order")],
            "Write to {email} about {order}",
            ("email", "order"),
        ),
        (["The customer is ", Gap(), "; class: ", Gap()], "The customer is {customer}; class: {v1}", ()),
        ([Gap(), " and ", Gap()], "{v1} and {v2}", ()),
        (["id = ", Gap("id"), "; ", Gap()], "id = {id}; {v1}", ()),
        ([Gap()], "{question}", ()),
    ],
)
def test_gaps_are_named_by_the_label_before_them_or_by_their_look(pieces, written, stand_ins):
    assert templates(None, Template.tidy(pieces)) == (None, written, stand_ins)


def test_both_prompts_share_their_names():
    one = Template.tidy(["Date: ", Gap("date")])
    assert templates(one, one) == ("Date: {date}", "Date: {date_2}", ())
