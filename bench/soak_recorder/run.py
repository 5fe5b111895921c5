"""One soak from start to verdict."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from bench.soak_recorder.complete import MetadataWatch, make_theirs
from bench.soak_recorder.processes import Mosquitto, RecorderProcess
from bench.soak_recorder.setup import AGAIN_AT, BROKER_AT, REBOOT_AT, Plan, Simulation
from bench.soak_recorder.verdict import Verdict, check_events, check_exchanges, check_metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOOK_S = 0.02
_AIM_S = 0.3
_AWAY_S = 1.0
_STEP_WITHIN_S = 60.0


class Soak:
    """Everything is below `folder`, which is left as it is at the end."""

    def __init__(self, plan: Plan, folder: Path, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._say = say
        self._mosquitto = Mosquitto(folder)
        self._simulation = Simulation(self._mosquitto.url, plan)
        self._recorder = RecorderProcess(self._mosquitto.url, folder, plan)
        self._watch = MetadataWatch(self._recorder.folder)

    def run(self) -> Verdict:
        """Run for as long as planned; a part that cannot run at all raises."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._mosquitto.stop)
            self._mosquitto.start()
            stack.callback(self._recorder.stop)
            make_theirs(self._recorder.folder)
            self._recorder.start()
            stack.callback(self._simulation.stop)
            self._simulation.start()
            self._recorder.wait_until_connected()
            window_ns = self._session()
        return self._verdict(window_ns)

    def _session(self) -> tuple[int, int]:
        state = self._recorder.begin_session()
        began_ns = time.time_ns()
        self._simulation.begin_clock_with_step()
        self._say(f"recording in {state['path']}")
        self._disturb()
        ended_ns = time.time_ns()
        self._recorder.end_session()
        self._watch.look()
        return began_ns, ended_ns

    def _disturb(self) -> None:
        """Look at the metadata all the time; do what is planned when its moment has come."""
        seconds, begun = self._plan.seconds, time.monotonic()
        planned = [(moment, self._kill) for moment in self._plan.kill_moments_s()]
        planned += [
            (REBOOT_AT * seconds, self._simulation.reboot),
            (BROKER_AT * seconds, self._restart_broker),
        ]
        planned += [(again * seconds, self._simulation.ask_again) for again in AGAIN_AT]
        planned += [(seconds, lambda: None)]
        for moment, work in sorted(planned, key=lambda each: each[0]):
            while (left := begun + moment - time.monotonic()) > 0:
                self._watch.look()
                time.sleep(min(_LOOK_S, left))
            work()

    def _kill(self) -> None:
        self._aim()
        self._recorder.kill()
        self._watch.look_after_kill()
        self._recorder.start()
        if self._recorder.kills % 10 == 0:
            self._say(f"{self._recorder.kills} kills, {len(self._watch.faults)} versions not complete")

    def _aim(self) -> None:
        """Two of three kills: writes of the metadata are short, and so is an append without its answer."""
        if self._recorder.kills % 3 == 1:
            self._watch.wait_for_write(_AIM_S)
        elif self._recorder.kills % 3 == 2:
            self._watch.wait_for_append(_AIM_S)

    def _restart_broker(self) -> None:
        """While the recorder is away and the broker holds messages for it: they are lost with it.

        Not before the step is recorded, for events cannot be asked for again.
        """
        deadline = time.monotonic() + _STEP_WITHIN_S
        while time.monotonic() < deadline and not self._step_is_recorded():
            self._watch.look()
            time.sleep(_LOOK_S)
        self._recorder.kill()
        time.sleep(_AWAY_S)
        self._mosquitto.restart()
        self._recorder.start()

    def _step_is_recorded(self) -> bool:
        return any(event.kind == "step" for event in self._recorder.folder.read_events())

    def _verdict(self, window_ns: tuple[int, int]) -> Verdict:
        verdict = Verdict()
        verdict.note("seconds", self._plan.seconds)
        verdict.note("kills", self._recorder.kills, wanted=self._plan.kills + 1)  # and one with the broker
        check_metadata(verdict, self._watch)
        check_exchanges(verdict, self._recorder.folder, self._simulation, window_ns)
        check_events(verdict, self._recorder.folder)
        verdict.note("faults in the recorder's log", self._recorder.log.count("Traceback"), wanted=0)
        return verdict
