"""What topsides on one machine know of one another's vehicles: kept by standbys, asked for, taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topside_agent.group.catch_up import CatchUp
from topside_agent.group.followed import Followed, usable
from topside_agent.group.local_socket import LocalSocket
from topside_agent.group.same_clock import ClockProof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from schemas.exchange import Exchange
    from topside_agent.group.interface import LocalChannel, Prover
    from topside_agent.group.members import Peer


class Nearby:
    """Used in the network thread alone; times are this topside's RAW, in ns."""

    def __init__(
        self,
        topside: str,
        instance_id: str,
        known: Callable[[str], Iterable[bytes]],
        *,
        proof: Prover | None = None,
        channel: LocalChannel | None = None,
    ) -> None:
        """`known` returns encoded batches of what this topside itself knows of a vehicle, oldest first."""
        self._proof = proof or ClockProof(topside, instance_id)
        self._channel = channel or LocalSocket(topside, instance_id)
        self._followed = Followed()
        self._catch_up = CatchUp(self._followed, self._channel, known)

    def __len__(self) -> int:
        """How many vehicles are followed."""
        return len(self._followed)

    def __iter__(self) -> Iterator[str]:
        """The vehicles that are followed."""
        return iter(self._followed)

    def look(self, now_ns: int, present: Mapping[str, Peer]) -> frozenset[str]:
        """Those of the others that have this machine's clock; they are asked and heard."""
        self._proof.accept()
        ids = ((name, peer.member.instance_id) for name, peer in present.items())
        near = {name: instance_id for name, instance_id in ids if self._proof.same(name, instance_id)}
        self._catch_up.look(now_ns, near)
        return frozenset(near)

    def answer(self) -> bool:
        """Answer one question of another one; whether more wait."""
        return self._catch_up.answer()

    def follow(self, vehicle: str) -> None:
        """Keep the exchanges of others with `vehicle`, and ask for those of before."""
        self._followed.begin(vehicle)
        self._catch_up.begin(vehicle)

    def unfollow(self, vehicle: str, *, wanted: bool) -> None:
        """Ask no more; if they are `wanted`, `take` will return those that were kept."""
        self._catch_up.end(vehicle)
        if not wanted:
            self._followed.take(vehicle)

    def heard(self, vehicle: str, topside: str, payload: bytes, received_ns: int) -> None:
        """A batch of exchanges of `topside` with `vehicle` came."""
        self._followed.add(vehicle, topside, payload, received_ns)
        self._catch_up.heard(vehicle, topside)

    def missed(self) -> None:
        """Exchanges may not have been heard: ask for those of all vehicles."""
        self._catch_up.again()

    def slept(self, now_ns: int) -> None:
        """This machine slept: nothing that was made before now may be used."""
        self._followed.clear(now_ns)

    def take(self, vehicle: str, boot_id: str, now_ns: int, together: int) -> list[Exchange]:
        """What is known of a vehicle that is taken over, with so many `together`, on this `boot_id`."""
        return usable(
            self._followed.take(vehicle),
            vehicle=vehicle,
            boot_id=boot_id,
            now_ns=now_ns,
            same_clock=self._proof.same,
            together=together,
            awake_ns=self._followed.awake_ns,
        )

    def close(self) -> None:
        """Be heard no longer, and hear nobody."""
        self._proof.close()
        self._channel.close()
