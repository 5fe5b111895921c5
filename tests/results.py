"""A result of a well measured vehicle, of which a test changes what it is about; for every folder."""

from schemas.instants import utc_from_ns
from schemas.messages import OffsetResult

NOON_NS = 1_777_636_800_000_000_000


def offset_result(**changes):
    values = {
        "vehicle": "rov1",
        "topside": "laptop",
        "state": "locked",
        "offset_ms": -150.312,
        "lower_ms": -150.73,
        "upper_ms": -149.89,
        "max_error_ms": 0.42,
        "u95_ms": 0.03,
        "drift_ppm": -3.41,
        "drift_error_ppm": 0.8,
        "delay_min_ms": 0.61,
        "exchanges": 240,
        "rejected": 2,
        "segment": 0,
        "steps": 0,
        "boot_id": "boot",
        "measured_at": utc_from_ns(NOON_NS),
        "measured_unix_ms": NOON_NS // 10**6,
        "age_s": 0.0,
        "error": None,
    }
    return OffsetResult(**values | changes)
