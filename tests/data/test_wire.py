import io
import struct

import pytest

from data.wire import LENGTHS, receive, send


def test_what_is_sent_is_received():
    pipe = io.BytesIO()
    send(pipe, {"name": "ü\ud800"}, b"\x00\xff")
    send(pipe, {})
    pipe.seek(0)
    assert receive(pipe) == ({"name": "ü\ud800"}, b"\x00\xff")
    assert receive(pipe) == ({}, b"")
    with pytest.raises(EOFError):
        receive(pipe)


@pytest.mark.parametrize("sent", [b"", b"short", LENGTHS.pack(10, 0) + b"{}"])
def test_a_broken_off_message_is_the_end(sent):
    with pytest.raises((EOFError, struct.error)):
        receive(io.BytesIO(sent))


def test_an_impossible_length_is_refused_unread():
    with pytest.raises(ValueError, match="a message of"):
        receive(io.BytesIO(LENGTHS.pack(1 << 40, 0)))
