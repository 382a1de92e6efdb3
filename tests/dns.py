"""A name server on loopback that knows one name, whose addresses come and go as pods of a headless Service do."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Self

HEADER = struct.Struct("!6H")
ANSWER, A, INTERNET, TTL = 0xC00C, 1, 1, 1  # a pointer to the name of the question; seconds


class NameServer:
    """Answers every question of type A with ``addresses``, and any other with nothing."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.sendto(b"end", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while (received := self._socket.recvfrom(4096))[0] != b"end":
            question, client = received
            self._socket.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        number = HEADER.unpack_from(question)[0]
        end = question.index(b"\0", HEADER.size) + 1
        kind = struct.unpack_from("!H", question, end)[0]
        known = list(self.addresses) if kind == A else []
        records = [struct.pack("!HHHIH", ANSWER, A, INTERNET, TTL, 4) + socket.inet_aton(one) for one in known]
        head = HEADER.pack(number, 0x8180, 1, len(records), 0, 0)
        return head + question[HEADER.size : end + 4] + b"".join(records)
