"""Commands over HTTP: requests to recorders and topsides, and their answers as HTTP's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, get_args

from schemas.compat import UTC
from schemas.messages import SessionState, SessionWord, StartCommand, StopCommand
from tidesync.dashboard.presentation import session_view
from tidesync.dashboard.views import Measure, Measuring, Problem, ProblemView, SessionView, StartedView
from tidesync.sessions.client import new_request_id, unknown_state
from tidesync.sessions.names import session_names_at, unknown_vehicles

if TYPE_CHECKING:
    from tidesync.dashboard.subscriber import Subscriber
    from tidesync.dashboard.views import StartSession, StopSession


class NotDoneError(Exception):
    """A command that was not done: the status, the word and the sentence of the answer."""

    def __init__(self, status: int, error: Problem, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.view = ProblemView(error=error, detail=detail)


@dataclass(frozen=True, slots=True)
class CommandService:
    """Takes commands, if this dashboard may command."""

    subscriber: Subscriber
    may_command: bool

    async def start(self, body: StartSession) -> StartedView:
        """Begin a session; the recorder's answer."""
        names = [body.session] if body.session else session_names_at(datetime.now(UTC))
        command = StartCommand(
            request_id=body.request_id or new_request_id(), mission=body.mission, sensors=body.sensors
        )
        for name in names[:-1]:
            try:
                return self._started(await self._send(name, command, body.timeout_s), body)
            except NotDoneError as error:
                if error.view.error != "refused" or not self._taken(name):
                    raise
        return self._started(await self._send(names[-1], command, body.timeout_s), body)

    async def stop(self, session: str, body: StopSession) -> SessionView:
        """End a session; the recorder's answer."""
        command = StopCommand(request_id=body.request_id or new_request_id())
        return await self._send(session, command, body.timeout_s)

    def measure(self, vehicle: str, body: Measure) -> Measuring:
        """Have a vehicle measured now; topsides do not answer that."""
        self._check()
        with self.subscriber.lock:
            fleet = self.subscriber.fleet
            if vehicle not in fleet.vehicles():
                raise NotDoneError(404, "not_found", f"no vehicle {vehicle!r} has been heard of")
            measuring = fleet.topsides_of(vehicle)
            named = [body.topside] if body.topside else measuring
            there = [name for name in named if name in measuring and fleet.topsides.get(name) != "offline"]
        if not there:
            who = f"topside {body.topside!r}" if body.topside else "any topside that is online"
            raise NotDoneError(409, "refused", f"{vehicle!r} is not measured by {who}")
        self.subscriber.measure(vehicle, there)
        return Measuring(vehicle=vehicle, topsides=tuple(there))

    def _taken(self, session: str) -> bool:
        with self.subscriber.lock:
            return self.subscriber.fleet.session(session) is not None

    def _started(self, view: SessionView, body: StartSession) -> StartedView:
        with self.subscriber.lock:
            known = self.subscriber.fleet.vehicles()
        return StartedView(**view.model_dump(), warnings=tuple(unknown_vehicles(body.sensors, known)))

    async def _send(self, session: str, command: StartCommand | StopCommand, timeout_s: float) -> SessionView:
        self._check()
        answer = self.subscriber.send(session, command)
        try:
            state = await asyncio.wait_for(asyncio.wrap_future(answer), timeout_s)
        except asyncio.TimeoutError:
            raise self._no_answer(timeout_s) from None
        finally:
            answer.cancel()
        return _answer(state)

    def check_allowed(self) -> None:
        """NotDoneError where this dashboard may not command."""
        if not self.may_command:
            sentence = "this dashboard takes no commands: start it with an operator's account and --operator"
            raise NotDoneError(403, "read_only", sentence)

    def _check(self) -> None:
        self.check_allowed()
        if not self.subscriber.up:
            raise self._no_broker()

    def _no_broker(self) -> NotDoneError:
        view = self.subscriber.broker_view()
        return NotDoneError(503, "broker_unreachable", view.problem or f"broker {view.address} is not there")

    def _no_answer(self, timeout_s: float) -> NotDoneError:
        if not self.subscriber.up:
            return self._no_broker()
        return NotDoneError(
            504,
            "no_answer",
            f"no recorder answered within {timeout_s:g} s;"
            " is `tidesync record` running, and may this account command it?",
        )


def _answer(state: SessionState) -> SessionView:
    if state.state == "refused":
        raise NotDoneError(409, "refused", state.error or "the recorder refuses")
    if state.state == "failed":
        reason = (
            f"{state.error or 'nothing can be written'}; the recorder holds it in memory and keeps trying"
        )
        raise NotDoneError(503, "recorder_failed", reason)
    if state.state not in get_args(SessionWord):
        raise NotDoneError(503, "recorder_failed", unknown_state(state))
    return session_view(state, 0.0)
