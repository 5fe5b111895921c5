"""Every metric of each agent, from counts in which nothing is missing."""

from pi_agent.health import Health
from pi_agent.http_service import pi_families
from runtime.metrics import AgentCounts, exposition, make_registry
from tests.results import offset_result
from tidesync.sessions.recorder.counts import SessionCounts
from tidesync.sessions.recorder.metrics import RecorderCounts, recorder_families
from tidesync.sessions.recorder.vehicle_log import VehicleCounts
from topside_agent.measuring.counts import Counts, GroupCounts, Snapshot, TopsideCounts
from topside_agent.metrics import topside_families

RESULT = offset_result(
    offset_ms=-150.3,
    lower_ms=-150.7,
    upper_ms=-149.9,
    max_error_ms=0.4,
    drift_ppm=-3.5,
    drift_error_ppm=0.75,
    delay_min_ms=0.6,
    segment=1,
    steps=1,
)


def agent(role="topside"):
    return AgentCounts(role, broker_connected=True, reconnects=3, dropped={"invalid": 2, "topic": 1})


def snapshot(vehicle="rov1", **changes):
    counts = Counts()
    for delay_ns in (90_000, 100_000, 100_001, 700_000_000):
        counts.accepted(delay_ns, "udp")
    values = {
        "vehicle": vehicle,
        "exchanges": 5,
        "timeouts": 1,
        "rejected": {"repeated": 2},
        "paths": dict(counts.paths),
        "delays": counts.delays,
        "last_exchange_age_s": 0.25,
        "result": RESULT,
        "current": True,
    }
    return Snapshot(**values | changes)


def topside(*snapshots):
    group = GroupCounts("fleet", members=3, standby=40, held=2, taken=70, given=20)
    return topside_families(TopsideCounts("laptop", agent(), snapshots or (snapshot(),), group))


def health(**changes):
    values = {
        "vehicle": "rov1",
        "version": "1.0.0",
        "broker": "mqtt://localhost:1883",
        "broker_connected": True,
        "broker_problem": None,
        "uptime_s": 12.5,
        "reconnects": 0,
        "pings_answered": 7,
        "udp_port": 9151,
        "datagrams_answered": 8,
        "datagrams_dropped": {"tag": 2},
        "messages_dropped": {"flood": 3},
        "last_ping_topside": "laptop",
        "last_ping_age_s": 0.25,
        "clock_changes": {"step": 1, "suspend": 0},
        "clock_synchronized": False,
        "simulated": True,
    }
    return Health(**values | changes)


def recorded(vehicle="rov1", **changes):
    values = {"exchanges": 100, "missing": 4, "lost": 3, "gaps": 1, "age_s": 0.5, "lag_s": 0.75}
    return VehicleCounts(vehicle, **values | changes)


def session(name="s1", vehicles=None, **changes):
    values = {"recording": True, "alarm": False, "waiting": 0, "write_errors": 2}
    return SessionCounts(name, vehicles=vehicles or [recorded()], **values | changes)


def recorder(*sessions, free_bytes=10**9):
    return recorder_families(RecorderCounts("main", agent("recorder"), free_bytes, sessions or (session(),)))


def text_of(families):
    return exposition(make_registry(lambda: families), None)[0].decode()


def all_texts():
    return [text_of(topside()), text_of(recorder()), text_of(pi_families(health()))]
