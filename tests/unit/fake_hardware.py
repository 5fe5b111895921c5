"""A network interface with a hardware clock, as its driver's answers: it is what the test says it is."""

import errno
import struct

from runtime.hardware_kernel import Kernel

ALL, PTP_EVENTS = 1 << 1, 1 << 12
GET_TS_INFO, SET_CONFIG, GET_CONFIG = 0x8946, 0x89B0, 0x89B1
EXTENDED = 0xC4C03D09
REALTIME, RAW = 0, 4


def refused(number):
    return OSError(number, f"refused ({errno.errorcode[number]})")


class FakeKernel(Kernel):
    """One interface, `eth0`, with index 2; `refusals` are by request, or by what is opened."""

    def __init__(self, clock_ns, raw_ns, realtime_ns=None, *, filters=ALL, number=0, reads_raw=True):
        """Each of the three clocks is read by a call."""
        self.clocks = {RAW: raw_ns, REALTIME: realtime_ns or raw_ns}
        self.clock_ns, self.filters, self.number, self.reads_raw = clock_ns, filters, number, reads_raw
        self.config = (0, 0, 0)
        self.refusals, self.opened, self.set = {}, [], 0
        self.interfaces = {2: "eth0"}

    def name_of(self, interface):
        if interface not in self.interfaces:
            raise refused(errno.ENXIO)
        return self.interfaces[interface]

    def ask(self, name, request, content):
        if error := self.refusals.get(request):
            raise refused(error)
        assert name in self.interfaces.values()
        if request == GET_TS_INFO:
            return struct.pack("@IIiI12xI12x", 0x41, 0x5F, self.number, 3, self.filters)
        if request == SET_CONFIG:
            self.set += 1
            self.config = struct.unpack("@3i", content)
        return struct.pack("@3i", *self.config)

    def open(self, path):
        if error := self.refusals.get(path):
            raise refused(error)
        self.opened.append(path)
        return len(self.opened)

    def close(self, file):
        self.opened[file - 1] = None

    def control(self, file, request, content):
        assert self.opened[file - 1] is not None
        assert request == EXTENDED
        assert len(content) == 1216
        if error := self.refusals.get(request):
            raise refused(error)
        samples, which, *reserved = struct.unpack_from("@Ii2I", content)
        if samples > 25 or any(reserved) or (which != REALTIME and not self.reads_raw):
            raise refused(errno.EINVAL)
        for index in range(samples):
            for place, clock in enumerate((self.clocks[which], self.clock_ns, self.clocks[which])):
                seconds, ns = divmod(clock(), 10**9)
                struct.pack_into("@qII", content, 16 + 48 * index + 16 * place, seconds, ns, 0)
