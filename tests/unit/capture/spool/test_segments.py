"""The form ``spool/1``: pinned, and closed to whoever changes it."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.capture.spool.segments import HEAD_BYTES, HEADER_BYTES, Seal, read_contents

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
ID = bytes(range(100, 116))
GROUPS = [[b"one", b""], [b"two" * 9], [b"three", b"four"], [b"five" * 100]]
GOLDEN = (
    "494e4348574f524d00016465666768696a6b6c6d6e6f707172733ff8000000000000dad3a085220bc276f2b244495442"
    "3cfe"
    "66726d31000000000000001f8aafb211"
    "16619381eaf22010ba937dfa7adc309473bc4e01d15bb66d26b91d2110665f"
    "66726d31000000010000001bb0a25fb8"
    "4e2cd03befd393a8a836d3d813ac5984d59b1bce5af61761530a10"
    "66726d31000000020000001467bd38f9"
    "384d7add64b4b23d057c81187d143ff5d1b95c8a"
)


def sealed(groups, *, key=KEY, segment_id=ID, end=True):
    """Header and frames of a segment, each as bytes."""
    seal = Seal(key, segment_id, 1.5)
    return [seal.header, *(b"".join(seal.frame(group)) for group in [*groups, *([[]] if end else [])])]


def flat(groups):
    return tuple(record for group in groups for record in group)


def test_the_form_is_pinned():
    written = b"".join(sealed([[b"one", b""], [b"two"]]))
    assert written.hex() == GOLDEN
    assert read_contents(bytes.fromhex(GOLDEN), KEY).records == (b"one", b"", b"two")


@given(st.lists(st.lists(st.binary(max_size=60), min_size=1, max_size=5), max_size=5), st.booleans())
def test_what_is_sealed_is_read_in_order(groups, end):
    read = read_contents(b"".join(sealed(groups, end=end)), KEY)
    assert (read.records, read.torn, read.damage, read.at) == (flat(groups), not end, None, 1.5)


def test_nothing_of_a_record_can_be_seen():
    written = b"".join(sealed([[b"ann.example@mailhost.net" * 4]]))
    assert b"ann" not in written
    assert b"mailhost" not in written


@given(st.data())
def test_whatever_byte_is_flipped_no_record_is_changed_and_none_is_lost_in_silence(data):
    parts = sealed(GROUPS)
    whole = bytearray(b"".join(parts))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    read = read_contents(bytes(whole), KEY)
    assert set(read.records) <= set(flat(GROUPS))
    assert read.damage is not None
    if place >= HEADER_BYTES:  # only the frame that was hit is missing
        ends = [sum(map(len, parts[: n + 1])) for n in range(len(parts))]
        hit = next(n for n, end in enumerate(ends) if place < end) - 1
        left = [group for n, group in enumerate(GROUPS) if n != hit]
        assert read.records == flat(left)
        assert f"frame {hit} " in read.damage


@given(st.integers(0, 700))
def test_cut_short_it_reads_up_to_the_last_whole_commit(length):
    parts = sealed(GROUPS)
    whole = b"".join(parts)
    read = read_contents(whole[:length], KEY)
    kept = [n for n in range(1, len(GROUPS) + 1) if sum(map(len, parts[: n + 1])) <= length]
    assert read.records == flat(GROUPS[: len(kept)])
    assert (read.torn, read.damage) == (length < len(whole), None)


@pytest.mark.parametrize("zeros", [5, 16, 4096])
def test_blocks_that_never_reached_the_disk_are_an_unfinished_write(zeros):
    *parts, last = sealed(GROUPS, end=False)
    for tail in (bytes(zeros), last[:-20] + bytes(20), last[:10] + bytes(len(last) - 10)):
        read = read_contents(b"".join(parts) + tail, KEY)
        assert (read.records, read.torn, read.damage) == (flat(GROUPS[:-1]), True, None)


def test_nothing_but_zeros_is_a_segment_that_was_never_written():
    for data in (b"", bytes(HEADER_BYTES), bytes(9000)):
        assert read_contents(data, KEY).damage is None
        assert read_contents(data, KEY).torn


def test_a_last_frame_that_was_written_whole_and_does_not_open_is_damage():
    *parts, last = sealed(GROUPS, end=False)
    changed = last[:-1] + bytes([last[-1] ^ 1])
    read = read_contents(b"".join(parts) + changed, KEY)
    assert read.records == flat(GROUPS[:-1])
    assert read.damage == "frame 3 does not open: it was damaged or changed"


def test_swapped_frames_are_found():
    header, one, two, *rest = sealed(GROUPS)
    read = read_contents(b"".join([header, two, one, *rest]), KEY)
    assert read.records == flat([GROUPS[1], GROUPS[2], GROUPS[3]])
    assert read.damage == "frame 0 is missing or damaged, and 1 more like it"


def test_a_missing_and_a_repeated_frame_are_found():
    header, one, two, three, four, end = sealed(GROUPS)
    gone = read_contents(b"".join([header, one, four, end]), KEY)
    assert gone.records == flat([GROUPS[0], GROUPS[3]])
    assert gone.damage == "frames 1 to 2 are missing or damaged"
    twice = read_contents(b"".join([header, one, one, two, three, four, end]), KEY)
    assert twice.records == flat(GROUPS)
    assert twice.damage == "frame 0 stands where frame 1 belongs"


def test_a_frame_of_another_segment_does_not_open():
    header, one, *rest = sealed(GROUPS)
    _, foreign, *_ = sealed(GROUPS, segment_id=bytes(16))
    read = read_contents(b"".join([header, foreign, *rest]), KEY)
    assert read.records == flat(GROUPS[1:])
    assert read.damage == "frame 0 does not open: it was damaged or changed"
    assert len(foreign) == len(one)


def test_a_frame_that_is_given_another_number_does_not_open():
    seal = Seal(KEY, ID, 1.5)
    seal.frame([b"zero"])
    head, body = seal.frame([b"one"])
    first, _ = Seal(KEY, ID, 1.5).frame([b"one"])
    read = read_contents(seal.header + first + body, KEY)
    assert len(head) == HEAD_BYTES
    assert (read.records, read.damage) == ((), "frame 0 does not open: it was damaged or changed")


def test_frames_behind_the_end_are_found():
    *parts, end = sealed(GROUPS)
    seal = Seal(KEY, ID, 1.5)
    frames = [b"".join(seal.frame([b"x"])) for _ in range(6)]
    for more, said in ((frames[5], "frame 5 stands behind the end"), (b"x" * 40, "other bytes stand behind")):
        read = read_contents(b"".join(parts) + end + more, KEY)
        assert read.records == flat(GROUPS)
        assert read.damage is not None
        assert said in read.damage


def test_with_another_key_nothing_opens():
    read = read_contents(b"".join(sealed(GROUPS)), OTHER_KEY)
    assert (read.records, read.torn) == ((), False)
    assert read.damage == "its header is damaged, or it was sealed with another key"


def test_what_is_no_segment_and_a_later_version_say_so():
    foreign = b"PK\x03\x04" + bytes(100)
    assert read_contents(foreign, KEY).damage == "it does not begin like a segment"
    later = bytearray(b"".join(sealed(GROUPS)))
    struct.pack_into(">H", later, 8, 2)
    assert read_contents(bytes(later), KEY).damage == (
        "it is in version 2 of its form, and this Inchworm knows version 1"
    )
