"""Length-prefixed messages over a pipe: a JSON object and raw bytes. Nothing received is ever executed or unpickled."""

import json
import struct
from typing import BinaryIO

LENGTHS = struct.Struct(">QQ")
MAX_BYTES = 1 << 32


def send(pipe: BinaryIO, message: dict, data: bytes = b"") -> None:
    head = json.dumps(message).encode()
    pipe.write(LENGTHS.pack(len(head), len(data)) + head)
    pipe.write(data)
    pipe.flush()


def receive(pipe: BinaryIO) -> tuple[dict, bytes]:
    """Raises: EOFError when the other side is gone, ValueError for a message that cannot be."""
    n_head, n_data = LENGTHS.unpack(_exactly(pipe, LENGTHS.size))
    if n_head + n_data > MAX_BYTES:
        raise ValueError(f"a message of {n_head + n_data} bytes")
    return json.loads(_exactly(pipe, n_head)), _exactly(pipe, n_data)


def _exactly(pipe: BinaryIO, n: int) -> bytes:
    data = pipe.read(n)
    if len(data) < n:
        raise EOFError
    return data
