"""Topside's end of a direct path, and a vehicle that answers when asked to."""

from runtime.realtime_line import RawStamp
from runtime.stamp_clock import Look
from schemas.datagram import (
    EARLIER_BY_KERNEL,
    RECEIVE_BY_KERNEL,
    Answer,
    Seal,
    pack_answer,
    parse_answer,
    parse_request,
)
from topside_agent.udp.interface import Address, DirectExchange, PathState, PathTerms
from topside_agent.udp.path import DirectPath

S, MS, US = 10**9, 10**6, 10**3
KEY = bytes(range(32))
LEVEL, PI_LEVEL = 1_700_000_000 * S, 1_600_000_000 * S
OFFSET = 50 * S
"""Of the Pi's RAW."""
ONE, TWO, SIX = Address("192.0.2.1", 9151), Address("192.0.2.2", 9151), Address("fe80::1%eth0", 9151)


def terms(*addresses, session=7, rate=4.0, train=3, timeout_s=1.0):
    return PathTerms(session, KEY, addresses or (ONE,), rate, train, timeout_s)


def look(at_ns, slept_ns=0, sets=0):
    return Look(at_ns, LEVEL, 30, slept_ns, sets, at_ns, 0.0)


class Conversation:
    """A path and the datagrams that it sent; the vehicle answers when asked to."""

    def __init__(self, *addresses, **changes):
        self.now_ns = 100 * S
        self.path = DirectPath("rov1", terms(*addresses, **changes), self.now_ns)
        self.sent, self.events = [], []
        self.kernel = {}
        self.slept_ns = self.sets = 0
        self.since_ns = 0
        """RAW since which topside's realtime runs evenly."""

    def left(self, number):
        return self.kernel.pop(number, 0)

    def raw_of(self, stamp_ns):
        return RawStamp(stamp_ns - LEVEL, 45, LEVEL, self.since_ns, 1)

    def departed_at(self, stamp_ns, _):
        return RawStamp(stamp_ns - LEVEL, 45, LEVEL, self.since_ns, 1)

    def serve(self):
        to_send, states = self.path.serve(self.now_ns)
        self.events += states
        for each in to_send:
            self.sent.append(each)
            self.kernel[len(self.sent)] = LEVEL + self.now_ns + 2 * US
            number = len(self.sent)
            before = look(self.now_ns, self.slept_ns, self.sets)
            self.path.was_sent(each, number, self, sent_ns=self.now_ns, look=before, generation=0)
        if not to_send:
            self.settle()
        return to_send

    def settle(self):
        now = look(self.now_ns, self.slept_ns, self.sets)
        events = self.path.settle(now, self) if self.path.has_finished else []
        self.events += events
        return events

    def pass_until(self, condition, most_s=10.0):
        """Serve what is due until something is as wanted; how long that took, s."""
        begun_ns = self.now_ns
        while not condition():
            self.now_ns = max(self.now_ns + 1, self.path.due_ns)
            assert self.now_ns - begun_ns < most_s * S
            self.serve()
        return (self.now_ns - begun_ns) / S

    def next_sent(self, more=1):
        """What is sent next, after so many datagrams."""
        count = len(self.sent) + more
        self.pass_until(lambda: len(self.sent) >= count)
        return self.sent[count - more :]

    def answer(self, to_send, *, way_ns=100 * US, earlier=None, session=None, **changes):
        """The vehicle's answer as datagram; `earlier`: the departure of the answer that was asked for."""
        request = parse_request(to_send.data)
        received_ns = self.now_ns + OFFSET + way_ns
        fields = {
            "flags": RECEIVE_BY_KERNEL | (EARLIER_BY_KERNEL if earlier else 0),
            "session": session or request.session,
            "seq": request.seq,
            "nonce": request.nonce,
            "receive_raw_ns": received_ns,
            "transmit_raw_ns": received_ns + 10 * US,
            "earlier_transmit_raw_ns": earlier or 0,
            "realtime_minus_raw_ns": PI_LEVEL,
            "resolution_ns": 50,
            "earlier_resolution_ns": 60 if earlier else 0,
            "earlier_seq": request.earlier_seq,
        }
        return pack_answer(Answer(**fields | changes), Seal(KEY))

    def take(self, data, *, after_ns=220 * US, kernel_ns=0):
        """The datagram arrives."""
        self.now_ns += after_ns
        arrived_ns = kernel_ns and LEVEL + kernel_ns
        states = self.path.answered(data, parse_answer(data), arrived_ns, self.now_ns)
        if isinstance(states, str):
            return []
        self.events += states
        return [*states, *self.settle()]

    def exchanges(self):
        return [each for each in self.events if isinstance(each, DirectExchange)]

    def states(self):
        return [each for each in self.events if isinstance(each, PathState)]


def alive(*addresses, **changes):
    talk = Conversation(*addresses, **changes)
    for each in talk.serve():
        talk.take(talk.answer(each))
    return talk
