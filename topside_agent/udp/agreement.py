"""Topside's side of the agreement on a direct path, pure: when to ask a vehicle, and what was agreed."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from schemas.direct_path import UDP_VERSION, UdpRequest
from topside_agent.udp.addresses import MOST_ADDRESSES
from topside_agent.udp.interface import Address, PathTerms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from schemas.direct_path import UdpAnswer
    from schemas.messages import Info

_FIRST_WAIT_NS, _LONGEST_WAIT_NS = 2_000_000_000, 600_000_000_000
"""Without an answer it is asked again after the first, then after twice as long each time."""
_REFUSED_WAIT_NS = 60_000_000_000
_LONGEST_SEEK_NS = 60_000_000_000
"""Between requests for the addresses that a vehicle has now, while it is reached at none."""
_RENEW = 0.9
"""Of a session's time, after which the next one is asked for."""
_LOOPBACK = ("127.0.0.1", "::1")
_BROADCAST = "255.255.255.255"


class Agreed(NamedTuple):
    """A session that a vehicle gave; instants are topside's RAW, in ns."""

    answer: UdpAnswer
    renew_ns: int
    expires_ns: int


class Agreement:
    """The agreement with one vehicle. Instants are topside's RAW, in ns."""

    def __init__(self, make_id: Callable[[], str]) -> None:
        self.agreed: Agreed | None = None
        """The session in use."""
        self._known: dict[int, UdpAnswer] = {}
        """The answers that gave the last two sessions, by their numbers."""
        self.instance_id: str | None = None
        """Of the vehicle's process that can be measured directly; None: it cannot."""
        self._make_id = make_id
        self._asked: str | None = None
        self._lost = 0
        """Connections that ended while a request was not answered."""
        self._wait_ns = _FIRST_WAIT_NS
        self._ask_ns = 0
        self._answers = False
        """Whether one of the addresses does."""
        self._seek_ns: int | None = None
        """When to ask whether the vehicle has others now; None: need not be."""
        self._seek_wait_ns = _FIRST_WAIT_NS

    def informed(self, info: Info, now_ns: int) -> bool:
        """The vehicle described itself; whether the session is over with that."""
        able = info.udp is not None and info.udp >= UDP_VERSION
        instance_id = info.instance_id if able else None
        if instance_id == self.instance_id:
            if self.agreed is not None and not self._answers:  # it has connected again, maybe from elsewhere
                self.lost(now_ns)
            return False
        self.instance_id = instance_id
        self._wait_ns, self._ask_ns = _FIRST_WAIT_NS, now_ns
        return self.end() if self.agreed and self.agreed.answer.instance_id != instance_id else False

    def end(self) -> bool:
        """Use the session no more; whether there was one."""
        was, self.agreed, self._asked = self.agreed is not None, None, None
        self._known.clear()
        self._answers, self._seek_ns = False, None
        return was

    def lost(self, now_ns: int) -> None:
        """None of the addresses answers: the vehicle is asked for those that it has now, then less often."""
        self._answers, self._seek_ns, self._seek_wait_ns = False, now_ns, _FIRST_WAIT_NS

    def found(self) -> None:
        """One of them answers."""
        self._answers, self._seek_ns = True, None

    def answer_of(self, session: int) -> UdpAnswer | None:
        """The answer that gave that session, if it is one of the last two."""
        return self._known.get(session)

    def expired(self, now_ns: int) -> bool:
        """Whether the session is over, by its time."""
        return self.agreed is not None and now_ns >= self.agreed.expires_ns

    def request(self, now_ns: int, *, rate: float, train: int) -> UdpRequest | None:
        """What to ask now, if anything; it counts as asked."""
        due_ns = self.due_ns
        if due_ns is None or now_ns < due_ns:
            return None
        self._asked = self._make_id()
        self._ask_ns = now_ns + self._wait_ns
        self._wait_ns = min(2 * self._wait_ns, _LONGEST_WAIT_NS)
        if self._seek_ns is not None:
            self._seek_ns = now_ns + self._seek_wait_ns
            self._seek_wait_ns = min(2 * self._seek_wait_ns, _LONGEST_SEEK_NS)
        return UdpRequest(request_id=self._asked, version=UDP_VERSION, rate=rate, train=train)

    def lost_connection(self, now_ns: int) -> None:
        """The connection to the broker ended; some brokers end it where the right to ask is missing."""
        if self._asked is None:
            return
        self._asked = None
        self._lost += 1
        if self._lost > 1:
            self._ask_ns = now_ns + _LONGEST_WAIT_NS

    @property
    def due_ns(self) -> int | None:
        """When `request` has something to ask; None: not as things are."""
        if self.instance_id is None:
            return None
        if self.agreed is None:
            return self._ask_ns
        renew_ns = self.agreed.renew_ns
        return max(self._ask_ns, renew_ns if self._seek_ns is None else min(renew_ns, self._seek_ns))

    def answered(self, answer: UdpAnswer, now_ns: int) -> bool:
        """An answer came; whether there is a new session."""
        if self._asked is None or answer.request_id != self._asked:
            return False
        self._asked = None
        parts = (answer.port, answer.key, answer.expires_s)
        if answer.error is not None or answer.expires_s is None or answer.session is None or None in parts:
            self._ask_ns = now_ns + max(self._wait_ns, _REFUSED_WAIT_NS)
            return False
        self._known = {**dict(list(self._known.items())[-1:]), answer.session: answer}
        lasts_ns = round(answer.expires_s * 1e9)
        self.agreed = Agreed(answer, now_ns + round(_RENEW * lasts_ns), now_ns + lasts_ns)
        self._wait_ns, self._ask_ns, self._lost = _FIRST_WAIT_NS, now_ns, 0
        if not self._answers and self._seek_ns is None:
            self.lost(now_ns + _FIRST_WAIT_NS)  # unless one of these addresses answers
        return True

    def terms(
        self,
        others: Iterable[str],
        boot_id: str,
        zones: Iterable[str],
        *,
        rate: float,
        train: int,
        timeout_s: float,
    ) -> PathTerms | None:
        """How to measure it: `others` are addresses by which the vehicle may be reached, too.

        `boot_id` is topside's, `zones` are its interfaces, on any of which a link-local address may be.
        """
        if self.agreed is None:
            return None
        answer = self.agreed.answer
        assert answer.session is not None
        assert answer.key is not None
        assert answer.port is not None
        own = _LOOPBACK if answer.boot_id == boot_id else ()
        given = [host for host in answer.addresses if host not in _LOOPBACK]
        hosts = dict.fromkeys(_candidates((*own, *others, *given), tuple(zones)))
        addresses = tuple(Address(host, answer.port) for host in list(hosts)[:MOST_ADDRESSES])
        return PathTerms(answer.session, bytes.fromhex(answer.key), addresses, rate, train, timeout_s)


def _candidates(hosts: Iterable[str], zones: tuple[str, ...]) -> Iterator[str]:
    """Those that datagrams may be sent to: of one machine each, of loopback only what is allowed above."""
    for host in hosts:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            continue
        if address.is_multicast or address.is_unspecified or host == _BROADCAST:
            continue
        if getattr(address, "ipv4_mapped", None):  # which may be any of those in disguise
            continue
        if address.is_loopback and host not in _LOOPBACK:
            continue
        if address.version == 6 and address.is_link_local and "%" not in host:  # noqa: PLR2004 - IPv6
            yield from (f"{host}%{zone}" for zone in zones)
        else:
            yield host
