"""A check of this computer's network hardware: which datagrams its clocks can stamp, and what that lacks."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from runtime.hardware_clock import HardwareClock
from runtime.hardware_config import is_on
from runtime.hardware_kernel import Kernel
from runtime.interface_stamps import interface_stamps
from tidesync.doctor.finding import ok, skipped, warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.interface_stamps import InterfaceStamps
    from tidesync.doctor.finding import Finding

_CHECK = "hardware stamps"
_ADVICE = "docs/datagrams.md says what it needs; until then the kernel's stamps are used"


def hardware_stamps(
    *,
    wanted: bool,
    interfaces: Callable[[], list[InterfaceStamps]] = interface_stamps,
    kernel: Kernel | None = None,
) -> Finding:
    """What the network hardware here can, and whether the option is set; changes nothing."""
    if platform.system() != "Linux":
        return skipped(_CHECK, "only Linux has them")
    kernel = kernel or Kernel()
    able = [each for each in interfaces() if each.hardware_all and each.hardware_clock is not None]
    option = "`hardware_stamps` is set" if wanted else "`hardware_stamps` is not set"
    if not able:
        found = f"no interface here has hardware that can stamp every datagram; {option}"
        return (
            warn(_CHECK, found, "leave it out: the kernel's stamps are used") if wanted else ok(_CHECK, found)
        )
    states = [_state(each, kernel) for each in able]
    found = "; ".join([*(sentence for sentence, _ in states), option])
    lacks = [sentence for sentence, lacking in states if lacking]
    return warn(_CHECK, found, _ADVICE) if wanted and lacks else ok(_CHECK, found)


def _state(interface: InterfaceStamps, kernel: Kernel) -> tuple[str, bool]:
    """A sentence about one interface, and whether something is missing for this user."""
    name, number = interface.name, interface.hardware_clock
    assert number is not None
    turned = {True: "on", False: "off", None: "not known to be on"}[is_on(name, kernel)]
    try:
        clock = HardwareClock(number, kernel)
    except OSError as error:
        return f"{name}: {turned}, {error.strerror or error}", True
    beside = "RAW" if clock.is_beside_raw else "realtime"
    clock.close()
    return f"{name}: {turned}, its clock (ptp{number}) can be read beside {beside}", False
