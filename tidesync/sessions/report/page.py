"""A recorded session's page: every vehicle's verdict, figure, numbers and events, rendered as HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from runtime.version import VERSION
from schemas.compat import from_iso
from schemas.events import Duplicate
from schemas.instants import ns_from_utc
from tidesync.sessions.report.basis import explained, of_gaps, of_histories
from tidesync.sessions.report.doubts import in_session, of_duplicates, of_namesakes
from tidesync.sessions.report.events import event_rows
from tidesync.sessions.report.figures import figure
from tidesync.sessions.report.numbers import numbers
from tidesync.sessions.report.series import bins_each
from tidesync.sessions.report.tables import of_tables, spans_of, stamps_of_tables
from tidesync.sessions.report.units import clock_time
from tidesync.sessions.report.verdict import NOTHING, coverage, outside, verdict
from topside_agent.estimator import EstimatorSettings, Exchanges

if TYPE_CHECKING:
    from schemas.events import EventLine
    from tidesync.sessions.correction.table import Measured as Spans
    from tidesync.sessions.folder import Measured
    from tidesync.sessions.journal import Stream
    from tidesync.sessions.processes import Process
    from tidesync.sessions.report.events import EventRow
    from tidesync.sessions.report.numbers import Numbers
    from tidesync.sessions.report.session import RecordedSession
    from tidesync.sessions.report.tables import TableStamps
    from tidesync.sessions.report.verdict import Grade, Verdict

_GRADES: Mapping[Grade, tuple[str, str]] = {
    "yes": ("✓", "can be trusted"),
    "partly": ("◐", "can be trusted in part"),
    "no": ("✗", "cannot be trusted"),
}
_MOST_EVENTS = 40

_TEMPLATES = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}


@dataclass(frozen=True, slots=True)
class Section:
    """One vehicle: its verdict in words, its figure (Plotly's data and layout), its numbers and events."""

    title: str
    grade: Grade
    headline: str
    exceptions: Sequence[str] = ()
    figure: dict[str, Any] | None = None
    numbers: Numbers = field(default_factory=list)
    events: Sequence[EventRow] = ()
    more_events: int = 0
    vehicle: str | None = None
    topside: str | None = None
    error_ns: int | None = None
    """The bound in the headline."""

    def document(self) -> dict[str, Any]:
        """The verdict as JSON; what is not known is null."""
        return {
            "vehicle": self.vehicle,
            "topside": self.topside,
            "grade": self.grade,
            "headline": self.headline,
            "exceptions": list(self.exceptions),
            "max_error_ms": None if self.error_ns is None else self.error_ns / 1e6,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The page, each vehicle's verdict as one line, and all of them for programs."""

    html: str
    lines: list[str]
    document: dict[str, Any]


def report_on(session: RecordedSession, plotly: str) -> Report:
    """The report on `session`; `plotly` is the script of that name."""
    parts = []
    for one in session.each_measured():
        parts.append(_part(one, session))
        del one
    spans = {part.stream[0]: part.spans for part in reversed(parts)}
    tables = stamps_of_tables(session.folder, spans, session.options)
    several = Counter(part.stream[0] for part in parts)
    sections = [_section(part, tables, named=several[part.stream[0]] > 1) for part in parts]
    sections += [_unmeasured(name, session) for name in session.unmeasured(several)]
    if not sections:
        sections = [Section("The session", NOTHING.grade, NOTHING.headline)]
    title = f"Timing of session {session.name.removeprefix('session_')}"
    html = render(title, _facts(session), _notes(session), sections, plotly, tables=tables)
    lines = [f"{section.title}: {section.headline}" for section in sections]
    return Report(html, lines, _document(session, sections, tables))


def _document(
    session: RecordedSession, sections: Sequence[Section], tables: Sequence[TableStamps]
) -> dict[str, Any]:
    return {
        "mission": session.mission,
        "state": session.block.get("state"),
        "vehicles": [section.document() for section in sections],
        "notes": _notes(session),
        "tables": [table._asdict() for table in tables],
    }


def render(
    title: str,
    facts: Numbers,
    notes: Sequence[str],
    sections: Sequence[Section],
    plotly: str,
    *,
    tables: Sequence[TableStamps] = (),
) -> str:
    """The whole document. Everything is escaped but `plotly`."""
    return _TEMPLATES.get_template("report.html").render(
        title=title,
        facts=facts,
        notes=notes,
        sections=sections,
        tables=tables,
        grades=_GRADES,
        figures=[section.figure for section in sections if section.figure is not None],
        plotly=plotly,
    )


class _Part(NamedTuple):
    """What a section needs of a track, which is not kept."""

    stream: Stream
    section: Section
    """Its verdict is that on the track alone."""
    found: Verdict
    namesakes: Sequence[Process]
    duplicates: Sequence[Duplicate]
    spans: Spans


def _part(one: Measured, session: RecordedSession) -> _Part:
    by_instant, track = one.exchanges.by_destination(), one.track
    histories = session.histories((one.vehicle, one.topside))
    intervals = explained(coverage(track, by_instant, EstimatorSettings()), by_instant, histories)
    events = [event for event in session.events if event.vehicle == one.vehicle]
    events = in_session(events, one.topside, one.exchanges)
    found = verdict(intervals)
    section = Section(
        one.vehicle,
        found.grade,
        found.headline,
        events=event_rows(events, one.exchanges)[:_MOST_EVENTS],
        more_events=max(len(events) - _MOST_EVENTS, 0),
        vehicle=one.vehicle,
        topside=one.topside,
        error_ns=found.error_ns,
    )
    if found.error_ns is not None:
        started_ns, stopped_ns = _instant(session, "started_at"), _instant(session, "stopped_at")
        ends = outside(intervals[0].from_ns, intervals[-1].to_ns, started_ns, stopped_ns)
        section = replace(
            section,
            exceptions=[*found.exceptions, *ends],
            figure=figure(track, one.exchanges, by_instant, intervals, bins_each(len(session.subjects))),
            numbers=[
                *numbers(track, one.exchanges, intervals, events, _stated_ms(session, one.vehicle)),
                *of_gaps(intervals),
                *of_histories(histories, one.exchanges),
            ],
        )
    return _Part(
        (one.vehicle, one.topside), section, found, one.namesakes, _duplicates(events), spans_of(track)
    )


def _section(part: _Part, tables: Sequence[TableStamps], *, named: bool) -> Section:
    """The section with its title, and what else than the track makes of its verdict."""
    vehicle, topside = part.stream
    found = of_tables(part.found, vehicle, tables)
    found = of_namesakes(found, topside, part.namesakes)
    found = of_duplicates(found, part.duplicates)
    title = f"{vehicle}, as {topside} measured it" if named else vehicle
    if part.namesakes:
        title = f"{vehicle}, as process {part.namesakes[0].instance_id} of {topside} measured it"
    return replace(part.section, title=title, grade=found.grade, headline=found.headline)


def _unmeasured(vehicle: str, session: RecordedSession) -> Section:
    """A vehicle without an exchange; two may have had its name nevertheless."""
    events = [event for event in session.events if event.vehicle == vehicle]
    found = of_duplicates(NOTHING, _duplicates(events))
    rows = event_rows(events, Exchanges.of(()))
    return Section(
        vehicle,
        found.grade,
        found.headline,
        events=rows[:_MOST_EVENTS],
        more_events=max(len(events) - _MOST_EVENTS, 0),
        vehicle=vehicle,
    )


def _duplicates(events: Sequence[EventLine]) -> list[Duplicate]:
    return [event for event in events if isinstance(event, Duplicate)]


def _facts(session: RecordedSession) -> Numbers:
    facts = [("Mission", session.mission or "not known")]
    sensors = session.block.get("sensors")
    if isinstance(sensors, dict) and sensors:
        facts.append(("Sensors", ", ".join(f"{sensor} on {vehicle}" for sensor, vehicle in sensors.items())))
    for key, label in (("started_at", "Started"), ("stopped_at", "Stopped")):
        unix_ns = _instant(session, key)
        if unix_ns is not None:
            facts.append((label, f"{clock_time(unix_ns)} UTC (recorder's clock)"))
    return [*facts, ("Made by", f"tidesync {VERSION}, from time_sync/exchanges.jsonl")]


def _notes(session: RecordedSession) -> list[str]:
    notes = list(session.faults)
    if session.block.get("state") == "recording":
        notes.append("The session had not been stopped when this report was made: it may be incomplete.")
    if session.block.get("alarm"):
        notes.append(f"The recorder's alarm: {session.block['alarm']}.")
    return notes


def _stated_ms(session: RecordedSession, vehicle: str) -> dict[str, float]:
    """The one offset for the whole session that the consumer reads, for each sensor of `vehicle`."""
    sensors = session.block.get("sensors")
    owners: dict[str, Any] = sensors if isinstance(sensors, dict) else {}
    return {
        sensor: float(entry["offsetMs"])
        for sensor, entry in session.entries.items()
        if owners.get(sensor) == vehicle and isinstance(entry["offsetMs"], int | float)
    }


def _instant(session: RecordedSession, key: str) -> int | None:
    try:
        return ns_from_utc(from_iso(str(session.block.get(key))))
    except (ValueError, TypeError):
        return None
