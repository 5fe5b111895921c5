"""The addresses of this machine's network interfaces, by which a topside may reach it."""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import sys

_MOST_INTERFACES = 256
_ANY_PORT = 9


def own_addresses() -> list[str]:
    """IPv4 and IPv6 addresses of the interfaces, without loopback; link-local ones without a zone, last.

    Where the system does not list them, those of the host's name; none if that has none.
    """
    try:
        found = _of_interfaces()
    except (OSError, AttributeError, TypeError):  # Windows has none
        found = _of_host_name()
    usable = [address for address in dict.fromkeys(found) if _is_usable(address)]
    return sorted(usable, key=lambda address: ipaddress.ip_address(address).is_link_local)


def address_towards(host: str) -> list[str]:
    """This machine's address on the way to `host`, a numeric address, in a list; nothing is sent.

    It is found where the system does not let a service list the interfaces, too.
    """
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET  # noqa: PLR2004
        with socket.socket(family, socket.SOCK_DGRAM) as way:
            way.connect((host, _ANY_PORT))
            found = str(way.getsockname()[0]).partition("%")[0]
    except (OSError, ValueError):
        return []
    return [found] if _is_usable(found) else []


def _is_usable(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return not (address.is_loopback or address.is_unspecified or address.is_multicast)


def _of_host_name() -> list[str]:
    try:
        found = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_DGRAM)
    except OSError:
        return []
    return [str(address[4][0]).partition("%")[0] for address in found]


class _Interface(ctypes.Structure):
    """`struct ifaddrs` up to the address; the same on Linux and BSD."""

    _fields_ = (
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("flags", ctypes.c_uint),
        ("address", ctypes.c_void_p),
    )


_PLACES = {socket.AF_INET: (4, 4), socket.AF_INET6: (8, 16)}
"""Where in a socket address the address is, and its length."""


def _of_interfaces() -> list[str]:
    library = ctypes.CDLL(None, use_errno=True)
    library.getifaddrs.argtypes = library.freeifaddrs.argtypes = [ctypes.c_void_p]
    library.freeifaddrs.restype = None
    first = ctypes.c_void_p()
    if library.getifaddrs(ctypes.byref(first)):
        raise OSError(ctypes.get_errno(), "getifaddrs")
    try:
        found: list[str] = []
        place = first.value
        for _ in range(_MOST_INTERFACES):
            if not place:
                break
            interface = _Interface.from_address(place)
            found += _address(interface.address)
            place = interface.next
        return found
    finally:
        library.freeifaddrs(first)


def _address(place: int | None) -> list[str]:
    """The address at `place` as text, in a list; none for another kind of address."""
    if not place:
        return []
    head = ctypes.string_at(place, 2)
    # BSD has a length before a family of one byte.
    family = head[1] if sys.platform == "darwin" else int.from_bytes(head, sys.byteorder)
    if family not in _PLACES:
        return []
    begin, length = _PLACES[socket.AddressFamily(family)]
    return [str(ipaddress.ip_address(ctypes.string_at(place + begin, length)))]
