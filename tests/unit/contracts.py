"""A valid payload of every message."""

from schemas import topics
from schemas.clock_history import ClockLine, ClockPiece, ClockResendCommand, TopsideClock, VehicleClock
from schemas.direct_path import UdpAnswer, UdpRequest
from schemas.exchange import Exchange
from schemas.instants import utc_from_ns
from schemas.messages import Event, ExchangeBatch, Info, Ping, Pong, SessionState, StartCommand
from schemas.presence import Heartbeat, Member
from tests.unit.metric_examples import RESULT

AT_NS = 1_777_636_800_000_000_000
NONCE = "9f1c0c53a8f1d2e4"

EXCHANGE = Exchange(
    vehicle="rov1",
    topside="laptop",
    seq=17,
    boot_id="boot",
    origin_ns=AT_NS,
    receive_ns=AT_NS,
    transmit_ns=AT_NS + 1,
    destination_ns=AT_NS + 2,
    pi_realtime_minus_raw_ns=5,
    topside_realtime_minus_raw_ns=-5,
    receive_stamp="kernel",
    transmit_stamp="write",
)
PIECE = ClockPiece(
    from_raw_ns=0,
    from_realtime_ns=AT_NS,
    to_raw_ns=AT_NS,
    to_realtime_ns=2 * AT_NS,
    half_width_ns=800,
    begins="step",
    last=18,
)
CLOCK_LINE = ClockLine(
    **PIECE.model_dump(), machine="vehicle", name="rov1", boot_id="boot", instance_id="instance", number=17
)
VALID = {
    "info": Info(
        vehicle="rov1",
        version="1.0.0",
        boot_id="boot",
        instance_id="instance",
        started_at=utc_from_ns(AT_NS),
        receive_stamp="kernel",
        clock_synchronized=False,
        http_port=9150,
    ),
    "event": Event(
        vehicle="rov1", kind="step", at=utc_from_ns(AT_NS), at_raw_ns=7, step_ms=3000.0, boot_id="boot"
    ),
    "ping": Ping(seq=17, nonce=NONCE, origin_ns=AT_NS),
    "pong": Pong(
        seq=17,
        nonce=NONCE,
        receive_ns=AT_NS,
        transmit_ns=AT_NS,
        realtime_minus_raw_ns=-7,
        boot_id="boot",
        instance_id="instance",
        receive_stamp="kernel",
        transmit_stamp="write",
        resolution_ns=1,
    ),
    "udp_request": UdpRequest(request_id="r", rate=4.0, train=3),
    "udp_answer": UdpAnswer(
        request_id="r",
        boot_id="boot",
        instance_id="instance",
        session=7,
        addresses=("192.168.2.2", "fe80::1%eth0"),
        port=40_000,
        key="0" * 64,
        expires_s=3700.0,
    ),
    "topside_heartbeat": Heartbeat(topside="laptop", instance_id="instance", boot_id="boot"),
    "topside_member": Member(
        topside="laptop", group="north", weight=2.0, instance_id="instance", boot_id="boot", capacity=10_000
    ),
    "exchange": ExchangeBatch(batch=42, exchanges=(EXCHANGE, EXCHANGE)),
    "offset": RESULT,
    "vehicle_clock": VehicleClock(
        vehicle="rov1", boot_id="boot", instance_id="instance", first=17, pieces=(PIECE,)
    ),
    "topside_clock": TopsideClock(
        topside="laptop", boot_id="boot", instance_id="instance", first=17, pieces=(PIECE,)
    ),
    "vehicle_command": ClockResendCommand.model_validate(
        {"request_id": "r", "instance_id": "instance", "from": 1, "to": 2}
    ),
    "topside_command": topics.TOPSIDE_COMMAND.decode(
        b'{"request_id": "r", "action": "resend", "vehicle": "rov1", "from_seq": 1, "to_seq": 2}'
    ),
    "session_command": StartCommand(request_id="r", mission="reef-42", sensors={"inWater": "rov1"}),
    "session_state": SessionState(
        session="2026-05-01T12-00-00Z",
        request_id="r",
        state="recording",
        path="reef-42/session_2026-05-01T12-00-00Z",
        mission="reef-42",
        sensors={"inWater": "rov1"},
        exchanges=812,
        last_exchange_at=utc_from_ns(AT_NS),
        alarm=None,
        error=None,
    ),
}
