from inchworm.label.naming import UNNAMED, name_clusters
from inchworm.label.terms import terms


def read(*messages):
    return [terms(message) for message in messages]


def test_neighbours_become_a_phrase_and_others_are_set_apart():
    cards, refunds = name_clusters(
        [
            read("is a gift card valid", "gift card validity", "the gift cards", "a valid gift card"),
            read("when is the refund paid", "has the refund been paid", "paid the refund"),
        ]
    )
    assert cards.name == "gift card · valid"
    assert sorted(refunds.name.split(" · ")) == ["paid", "refund"]


def test_the_most_frequent_form_is_shown():
    (label,) = name_clusters([read("returns", "returns", "return", "returned returns")])
    assert label.terms == ("returns",)


def test_names_and_ids_do_not_depend_on_the_order_of_messages():
    one = read("track the order", "order number", "track by number", "tracking number of an order")
    other = read("open store", "store hours")
    assert name_clusters([one, other]) == name_clusters([one[::-1], other[::-1]])


def test_two_clusters_of_the_same_words_are_told_apart():
    labels = name_clusters([read("order late"), read("order late"), read("order late")])
    assert len({label.name for label in labels}) == len({label.id for label in labels}) == 3


def test_a_cluster_without_words_has_a_name():
    assert [label.name for label in name_clusters([read("", "hi"), read("")])] == [UNNAMED, f"{UNNAMED} 2"]


def test_words_of_an_aside_do_not_name():
    (label,) = name_clusters([read("Where is the parcel? My password is PASSWORD_1.", "Parcel lost?")])
    assert "password" not in label.name


def test_ids_are_pinned():
    (label,) = name_clusters([read("lost parcel")])
    assert label.id == "c-c8009d132986"
