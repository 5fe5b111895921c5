"""A machine that keeps its clock's history, publishes it, and sends again what it is asked for."""

from broker.interface import Outgoing
from runtime.clock import read
from schemas import topics
from schemas.clock_history import MAX_PIECES, ClockPiece, ClockResendCommand, TopsideClock, VehicleClock

S = 1_000_000_000
ROOT = "tidesync"
TOPICS = {
    "vehicle": (topics.VEHICLE_CLOCK, topics.VEHICLE_COMMAND, VehicleClock),
    "topside": (topics.TOPSIDE_CLOCK, topics.TOPSIDE_COMMAND, TopsideClock),
}


class ClockPublisher:
    """Callbacks of a connection. A piece is `piece_s` long; the open one is published every `open_s`."""

    def __init__(self, machine, name, clock, *, instance_id="i1", piece_s=7.0, open_s=10.0):
        self.kind, self.command_kind, self.message = TOPICS[machine]
        self.machine, self.name, self.clock, self.instance_id = machine, name, clock, instance_id
        self.pieces = []
        self.commands = []
        self.connection = None
        self._piece_ns, self._open_ns = round(piece_s * S), round(open_s * S)
        self._due_ns = 0
        self._published = 0

    @property
    def number(self):
        """Of the open piece."""
        return len(self.pieces) - 1

    def connected(self):
        topic = topics.build(ROOT, self.command_kind, **{self.machine: self.name})
        self.connection.subscribe([(topic, self.command_kind.qos)])
        self._due_ns = 0

    def disconnected(self, reason):
        pass

    def received(self, message):
        command = self.command_kind.decode(message.payload)
        self.commands.append(command)
        if isinstance(command, ClockResendCommand) and command.instance_id == self.instance_id:
            self.grow()
            self._send(command.from_number, min(command.to_number, self.number))

    def tick(self, now):
        self.grow()
        if self.connection.up and (self._published < self.number or now.raw_ns >= self._due_ns):
            self._send(min(self._published, self.number), self.number)
            self._published, self._due_ns = self.number, now.raw_ns + self._open_ns
        return 0.2

    def grow(self):
        """Extend the open piece to now, or begin the next."""
        now = read(self.clock)
        at = (now.raw_ns, now.realtime_ns)
        if not self.pieces:
            self.pieces.append(_piece(at, at, "start"))
        last = self.pieces[-1]
        begin = (last.from_raw_ns, last.from_realtime_ns)
        self.pieces[-1] = _piece(begin, at, last.begins)
        if at[0] - begin[0] >= self._piece_ns:
            self.pieces.append(_piece(at, at, None))

    def _send(self, first, last):
        for start in range(first, last + 1, MAX_PIECES):
            pieces = tuple(self.pieces[start : min(last + 1, start + MAX_PIECES)])
            message = self.message(
                **{self.machine: self.name},
                boot_id=self.clock.boot_id,
                instance_id=self.instance_id,
                first=start,
                pieces=pieces,
            )
            topic = topics.build(ROOT, self.kind, **{self.machine: self.name})
            self.connection.publish(Outgoing(topic, message.encode(), self.kind.qos, self.kind.retain))


def _piece(begin, end, begins):
    return ClockPiece(
        from_raw_ns=begin[0],
        from_realtime_ns=begin[1],
        to_raw_ns=end[0],
        to_realtime_ns=end[1],
        half_width_ns=800,
        begins=begins,
    )
