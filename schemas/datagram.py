"""A direct clock exchange's datagrams, `udp_exchange_v1`: 88 bytes each, big-endian, sealed with BLAKE2s.

Answers are as long as requests, so that a forged sender gains nothing. Both begin

    0  4s  "TSx1"       8  I  session        16  8s  nonce, echoed
    4  B   kind         12 I  seq, rising    72  16s tag: BLAKE2s (key, person by kind) of bytes 0 to 71
    5  B   flags
    6  H   0, in an answer earlier_even_within_ns

with kind 1, a request, or 2, an answer. Then an answer has, of the Pi's clock,

    24 q  receive_raw_ns           56 I  resolution_ns: of receive, transmit and the difference
    32 q  transmit_raw_ns          60 I  earlier_resolution_ns: of earlier_transmit_raw_ns
    40 q  earlier_transmit_raw_ns  64 I  earlier_seq, as asked for
    48 q  realtime_minus_raw_ns    68 I  earlier_even_ns

and a request `earlier_seq` alone: the answer whose transmit stamp it wants, 0 for none. An answer cannot hold
its own kernel's transmit stamp (RFC 9769, interleaved mode); `transmit_raw_ns` was read before it was sent.
For `earlier_even_ns` until then, 0 if it is not known, the Pi's realtime had run at one rate. The stamps of
that answer, each plus its `realtime_minus_raw_ns`, may be off such a realtime by `earlier_even_within_ns`.
"""

from __future__ import annotations

from hashlib import blake2s
from hmac import compare_digest
from struct import Struct
from typing import NamedTuple

SIZE = 88
KEY_SIZE = 32
MAGIC = b"TSx1"
REQUEST, ANSWER = 1, 2
RECEIVE_BY_KERNEL, EARLIER_BY_KERNEL = 1, 2
"""Flags: `receive_raw_ns` is the kernel's stamp; `earlier_transmit_raw_ns` is there, and the kernel's."""
RECEIVE_BY_HARDWARE, EARLIER_BY_HARDWARE = 4, 8
"""With the former: it is the network hardware's."""
LAST_SEQ = 2**32 - 1
WIDEST_NS = 2**32 - 1
"""The largest resolution that fits; what is coarser is not sent."""

_TAG_SIZE = 16
_SIGNED = SIZE - _TAG_SIZE
_REQUEST_HEAD = MAGIC + bytes((REQUEST, 0, 0, 0))
_ANSWER_HEAD = MAGIC + bytes((ANSWER,))
_REQUEST = Struct(">8sII8s40xI4x")
_REQUEST_READ = Struct(">8xII8s40xI4x")
_ANSWER = Struct(">4sBBHII8sqqqqIIII")
_ANSWER_READ = Struct(">5xBHII8sqqqqIIII")


class Seal:
    """Tags of one session's key; each direction has its own, so that nothing reflected is genuine."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"expected a key of {KEY_SIZE} bytes, received {len(key)}")
        self._request = blake2s(key=key, digest_size=_TAG_SIZE, person=b"ts-ask")
        self._answer = blake2s(key=key, digest_size=_TAG_SIZE, person=b"ts-answr")

    def tag(self, kind: int, content: bytes) -> bytes:
        """The tag of what comes before it in a datagram of this kind."""
        state = (self._request if kind == REQUEST else self._answer).copy()
        state.update(content)
        return state.digest()

    def is_genuine(self, kind: int, datagram: bytes) -> bool:
        """Whether somebody with the key made this `datagram` of `SIZE` bytes, in this direction."""
        return compare_digest(self.tag(kind, datagram[:_SIGNED]), datagram[_SIGNED:])


class Request(NamedTuple):
    """What topside asks."""

    session: int
    seq: int
    nonce: bytes
    """8 bytes that nobody can guess."""
    earlier_seq: int = 0


class Answer(NamedTuple):
    """What the vehicle answers; stamps are its RAW, ns, the difference its realtime − RAW.

    `receive_raw_ns` is never early, the two transmit stamps never late, beyond their resolutions.
    """

    flags: int
    session: int
    seq: int
    nonce: bytes
    receive_raw_ns: int
    transmit_raw_ns: int
    earlier_transmit_raw_ns: int
    realtime_minus_raw_ns: int
    resolution_ns: int
    earlier_resolution_ns: int
    earlier_seq: int
    earlier_even_ns: int = 0
    earlier_even_within_ns: int = 0


def pack_request(request: Request, seal: Seal) -> bytes:
    """The datagram."""
    content = _REQUEST.pack(_REQUEST_HEAD, *request)
    return content + seal.tag(REQUEST, content)


def pack_answer(answer: Answer, seal: Seal) -> bytes:
    """The datagram; struct.error for a number that does not fit its field."""
    flags, *numbers, within_ns = answer
    content = _ANSWER.pack(MAGIC, ANSWER, flags, within_ns, *numbers)
    return content + seal.tag(ANSWER, content)


def parse_request(datagram: bytes) -> Request | None:
    """What the datagram says, if it has a request's length and kind; its tag is still to be checked."""
    if len(datagram) != SIZE or not datagram.startswith(_REQUEST_HEAD):
        return None
    return tuple.__new__(Request, _REQUEST_READ.unpack_from(datagram))


def parse_answer(datagram: bytes) -> Answer | None:
    """The same for an answer; flags of later versions are ignored."""
    if len(datagram) != SIZE or not datagram.startswith(_ANSWER_HEAD):
        return None
    flags, within_ns, *numbers = _ANSWER_READ.unpack_from(datagram)
    return Answer._make([flags, *numbers, within_ns])
