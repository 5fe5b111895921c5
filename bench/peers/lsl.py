"""LSL: an outlet answers in one process, another asks its inlet for the time correction and its uncertainty.

Discovery is left out: the outlet's description is handed over in a file, with the port that is to be asked
instead of its own, so that the time exchange can be led through a proxy.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench.peers.interleaving import slots
from bench.peers.processes import LOOPBACK, exit_on_terminate

_TIMEOUT_S = 5.0
_CONFIGURATION = """[ports]
IPv6 = disable
BasePort = {port}
PortRange = 64
[multicast]
ResolveScope = machine
MachineAddresses = {{127.0.0.1}}
AddressesOverride = {{127.0.0.1}}
ListenAddress = 127.0.0.1
[log]
level = -3
"""


class Correction(NamedTuple):
    """What the inlet answered at a turn: `at_ns` realtime, the correction and its stated uncertainty."""

    at_ns: int
    offset_ns: float
    uncertainty_ns: float


def configuration(port: int) -> str:
    """liblsl's own settings file: nothing beyond this machine is asked."""
    return _CONFIGURATION.format(port=port)


def answer(description: Path) -> None:
    """Hold an outlet open until stopped; leave its description in a file."""
    import pylsl  # noqa: PLC0415 - optional

    outlet = pylsl.StreamOutlet(pylsl.StreamInfo("clock", "clock", 1, 1.0, "float32", "tidesync-bench"))
    part = description.with_suffix(".part")
    part.write_text(outlet.get_info().as_xml())
    part.rename(description)
    threading.Event().wait()


def service_port(description: Path) -> int:
    """The outlet's UDP port, at which it answers time requests."""
    found = re.search(r"<v4service_port>(\d+)<", description.read_text())
    assert found
    return int(found.group(1))


def _redirected(xml: str, port: int) -> bytes:
    """A description as a resolver would have made it, with the time service at `port` of loopback."""
    xml = re.sub(r"<v4address>.*?</v4address>|<v4address\s*/>", f"<v4address>{LOOPBACK}</v4address>", xml)
    return re.sub(r"<v4service_port>\d+<", f"<v4service_port>{port}<", xml).encode()


class _Inlet:
    """liblsl's time_correction_ex, which pylsl leaves out: it alone tells the uncertainty."""

    def __init__(self, description: Path, port: int) -> None:
        import pylsl  # noqa: PLC0415 - optional
        from pylsl.lib import lib  # noqa: PLC0415

        lib.lsl_streaminfo_from_xml.restype = ctypes.c_void_p
        lib.lsl_streaminfo_from_xml.argtypes = [ctypes.c_char_p]
        handle = lib.lsl_streaminfo_from_xml(_redirected(description.read_text(), port))
        self._inlet: Any = pylsl.StreamInlet(pylsl.StreamInfo(handle=handle), recover=False)
        self._ask: Any = lib.lsl_time_correction_ex
        pointer = ctypes.POINTER(ctypes.c_double)
        self._ask.restype = ctypes.c_double
        self._ask.argtypes = [
            ctypes.c_void_p,
            pointer,
            pointer,
            ctypes.c_double,
            ctypes.POINTER(ctypes.c_int32),
        ]

    def ask(self) -> Correction | None:
        remote, uncertainty, code = ctypes.c_double(), ctypes.c_double(), ctypes.c_int32()
        offset = self._ask(self._inlet.obj, remote, uncertainty, _TIMEOUT_S, code)
        if code.value:
            return None
        return Correction(time.time_ns(), offset * 1e9, uncertainty.value * 1e9)


def ask(description: Path, port: int, rate_hz: float, seconds: float, results: Path) -> None:
    """Read the correction that stands, in turn; leave what was read in `results`."""
    requester = _Inlet(description, port)
    done: list[Correction] = []
    try:
        for _ in slots(rate_hz, 0.99, seconds):
            correction = requester.ask()
            if correction:
                done.append(correction)
                results.touch()
    finally:
        results.write_text("".join(" ".join(map(repr, entry)) + "\n" for entry in done))


def read(path: Path) -> list[Correction]:
    if not path.exists():
        return []
    lines = (line.split() for line in path.read_text().splitlines())
    return [Correction(int(at), float(offset), float(uncertainty)) for at, offset, uncertainty in lines]


def main() -> None:
    """`… answer DESCRIPTION` or `… ask DESCRIPTION PORT RATE SECONDS FILE`."""
    assert "LSLAPICFG" in os.environ, "without its settings file liblsl would search the network"
    exit_on_terminate()
    what, description, *rest = sys.argv[1:]
    if what == "answer":
        answer(Path(description))
    else:
        port, rate_hz, seconds, results = rest
        ask(Path(description), int(port), float(rate_hz), float(seconds), Path(results))


if __name__ == "__main__":
    main()
