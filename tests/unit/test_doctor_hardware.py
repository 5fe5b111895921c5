"""What the doctor says of this computer's network hardware, by drivers' answers."""

import errno
import sys

import pytest

from runtime.interface_stamps import InterfaceStamps
from tests.unit.fake_hardware import EXTENDED, GET_CONFIG, FakeKernel
from tidesync.doctor.hardware_checks import hardware_stamps

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux has these stamps")

ABLE = InterfaceStamps("eth0", software=True, hardware_clock=0, hardware_all=True)
PTP = InterfaceStamps("eth0", software=True, hardware_clock=0, hardware_ptp=True)


def found(interface=ABLE, *, wanted=True, on=True, **changes):
    kernel = FakeKernel(lambda: 7, lambda: 8, **changes.pop("made", {}))
    kernel.config = (0, 1, 1) if on else (0, 0, 0)
    kernel.refusals = changes.pop("refusals", {})
    finding = hardware_stamps(wanted=wanted, interfaces=lambda: [interface], kernel=kernel)
    assert kernel.set == 0
    assert not any(kernel.opened)  # it leaves nothing open
    return finding


@pytest.mark.parametrize(
    ("given", "verdict", "words"),
    [
        ({}, "ok", "eth0: on, its clock (ptp0) can be read beside RAW; `hardware_stamps` is set"),
        ({"made": {"reads_raw": False}}, "ok", "eth0: on, its clock (ptp0) can be read beside realtime; "),
        ({"on": False, "wanted": False}, "ok", "eth0: off, its clock (ptp0) can be read beside RAW; `hardw"),
        (
            {"refusals": {GET_CONFIG: errno.EOPNOTSUPP}},
            "ok",
            "eth0: not known to be on, its clock (ptp0) can",
        ),
        ({"refusals": {"/dev/ptp0": errno.EACCES}}, "warn", "eth0: on, /dev/ptp0 cannot be opened: refused"),
        (
            {"refusals": {"/dev/ptp0": errno.EACCES}, "wanted": False},
            "ok",
            "eth0: on, /dev/ptp0 cannot be op",
        ),
        (
            {"refusals": {EXTENDED: errno.ENOTTY}},
            "warn",
            "eth0: on, /dev/ptp0 cannot be read beside this sys",
        ),
        (
            {"interface": PTP},
            "warn",
            "no interface here has hardware that can stamp every datagram; `hardware",
        ),
        (
            {"interface": PTP, "wanted": False},
            "ok",
            "no interface here has hardware that can stamp every dat",
        ),
    ],
)
def test_what_the_hardware_can_is_said_and_what_is_missing_where_it_is_wanted(given, verdict, words):
    finding = found(**given)
    assert finding.verdict == verdict
    assert finding.found.startswith(words)
    assert finding.found.endswith("is set" if given.get("wanted", True) else "is not set")
