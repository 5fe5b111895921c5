"""What a soak found: every figure, and which of them are failures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.soak_recorder.complete import MetadataWatch, count_lines
from bench.soak_recorder.ending import block_of, claimed
from bench.soak_recorder.setup import REBOOTED, STEPPED, VEHICLES, Simulation, identity, is_true
from tidesync.sessions.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.exchange import Exchange
    from tidesync.sessions.folder import SessionFolder


@dataclass
class Verdict:
    """Figures in the order in which they are printed; `failures` is empty when all is well."""

    figures: dict[str, int | float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def note(
        self, name: str, value: float, *, wanted: float | None = None, at_least: float | None = None
    ) -> None:
        self.figures[name] = value
        if wanted is not None and value != wanted:
            self.failures.append(f"{name}: {value}, not {wanted}")
        if at_least is not None and value < at_least:
            self.failures.append(f"{name}: {value}, fewer than {at_least}")


def check_exchanges(
    verdict: Verdict, folder: SessionFolder, simulation: Simulation, window_ns: tuple[int, int]
) -> None:
    """The journal against topside's own memory and what the recorder heard; each line against the truth.

    `window_ns`: topside's realtime from the answer to `start` to the sending of `stop`.
    """
    journal = folder.read_exchanges() or Journal()
    recorded = journal.exchanges
    finished = {identity(exchange): exchange for exchange in simulation.finished()}
    there = {identity(exchange): exchange for exchange in recorded}
    for vehicle in VEHICLES:
        seqs = sorted(exchange.seq for exchange in finished.values() if exchange.vehicle == vehicle)
        verdict.note(f"{vehicle} finished by topside", len(seqs), at_least=1)
        if seqs != list(range(len(seqs))):
            verdict.failures.append(f"topside's memory of {vehicle} has gaps of its own")
    verdict.note("finished within the session", _within(finished, window_ns), at_least=1)
    verdict.note("heard within it", _within(simulation.subscriber.heard, window_ns), at_least=1)
    verdict.note("lines in exchanges.jsonl", len(recorded), at_least=1)
    verdict.note("lines that are no exchange", journal.malformed, wanted=0)
    verdict.note("missing of those finished", _missing(finished, there, window_ns), wanted=0)
    verdict.note("missing of those heard", _missing(simulation.subscriber.heard, there, window_ns), wanted=0)
    verdict.note("skipped in what is recorded", _skipped(recorded), wanted=0)
    verdict.note("recorded twice", len(recorded) - len(there), wanted=0)
    verdict.note(
        "other than topside's own", sum(finished.get(key) != one for key, one in there.items()), wanted=0
    )
    verdict.note(
        "bounds that miss the truth", sum(not is_true(one, simulation.truth) for one in recorded), wanted=0
    )


def check_metadata(verdict: Verdict, watch: MetadataWatch) -> None:
    """Every version that was seen, and the last."""
    verdict.note("metadata read", watch.reads, at_least=1)
    verdict.note("versions seen", watch.versions, at_least=1)
    verdict.note("kills within a write of it", watch.torn)
    verdict.note("versions not complete", len(watch.faults), wanted=0)
    verdict.failures += watch.faults[:5]
    block = block_of(watch.folder)
    lines = count_lines(watch.folder.exchanges_path)
    verdict.note("exchanges by the metadata", claimed(block), wanted=lines)
    verdict.note("missing by the metadata", sum(v["missing"] for v in block["vehicles"].values()), wanted=0)
    verdict.note("rows of offsets.csv", count_lines(watch.folder.offsets_path) - 1, at_least=1)
    if block["state"] != "stopped":
        verdict.failures.append(f"the metadata's state is {block['state']}")
    names = (path.name for path in watch.folder.path.iterdir())
    left = [name for name in names if name.startswith((".sync", "sync_metadata.un"))]
    if left:
        verdict.failures.append(f"left behind: {left}")


def check_events(verdict: Verdict, folder: SessionFolder) -> None:
    """One step, one reboot, and nothing given up as lost."""
    kinds = Counter((event.kind, event.vehicle) for event in folder.read_events())
    verdict.note("steps of the stepped clock", kinds["step", STEPPED], wanted=1)
    verdict.note("reboots of the rebooted one", kinds["reboot", REBOOTED], wanted=1)
    verdict.note("gaps", sum(count for (kind, _), count in kinds.items() if kind == "gap"), wanted=0)


def _within(exchanges: dict[tuple[str, int, int], Exchange], window_ns: tuple[int, int]) -> int:
    return sum(window_ns[0] <= exchange.destination_ns <= window_ns[1] for exchange in exchanges.values())


def _missing(
    wanted: dict[tuple[str, int, int], Exchange],
    there: dict[tuple[str, int, int], Exchange],
    window_ns: tuple[int, int],
) -> int:
    lost = {key: exchange for key, exchange in wanted.items() if key not in there}
    return _within(lost, window_ns)


def _skipped(recorded: Sequence[Exchange]) -> int:
    """Numbers skipped between the first and the last of each vehicle: topside counts without a break."""
    skipped = 0
    for vehicle in VEHICLES:
        seqs = {exchange.seq for exchange in recorded if exchange.vehicle == vehicle}
        skipped += max(seqs) - min(seqs) + 1 - len(seqs) if seqs else 0
    return skipped
