"""One vehicle in full, key by key, in the spirit of `chronyc tracking`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.instants import iso_utc
from tidesync.terminal.figures import ago, figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas.messages import Info, OffsetResult
    from tidesync.fleet.rows import Row

_S_PER_DAY_AT_1_PPM = 0.0864


def tracking(row: Row, topsides: Mapping[str, str]) -> str:
    """`row` in lines of `key : value`."""
    pairs = list(_pairs(row, topsides))
    width = max(len(key) for key, _ in pairs)
    return "\n".join(f"{key:<{width}} : {value}" for key, value in pairs)


def _pairs(row: Row, topsides: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield "Vehicle", f"{row.vehicle}, {row.status or 'status unknown'}"
    if row.result is None or row.topside is None:
        yield "Measured by", "nobody; is `tidesync topside` running?"
    else:
        yield "Measured by", f"{row.topside}, {topsides.get(row.topside, 'status unknown')}"
        yield from _result_pairs(row.result, row)
    if row.info:
        yield from _info_pairs(row.info)


def _result_pairs(result: OffsetResult, row: Row) -> Iterator[tuple[str, str]]:
    yield "State", result.state + (f" ({result.error})" if result.error else "")
    yield "Offset", _offset(result)
    yield "Max error", _max_error(result)
    yield "Likely error", _likely(result)
    yield "Drift", _drift(result)
    yield "Least delay", _unit(result.delay_min_ms, 4, "ms")
    yield "Exchanges", f"{result.exchanges} in use, {result.rejected} rejected"
    yield "Steps", f"{result.steps}, now in segment {result.segment}"
    yield "Measured at", iso_utc(result.measured_at) if result.measured_at else "never"
    yield "Age", ago(row.age_s) + (": OLD, does its topside run?" if row.old else "")
    yield "Last exchange", "-" if result.age_s is None else f"{result.age_s:.3f} s before that"
    yield "Method", result.method


def _info_pairs(info: Info) -> Iterator[tuple[str, str]]:
    simulated = ", on a simulated clock" if info.simulated else ""
    yield "Agent", f"{info.version}, since {iso_utc(info.started_at)}{simulated}"
    yield "Boot", info.boot_id
    yield "Vehicle's clock", "may be steered (NTP)" if info.clock_synchronized else "runs free"
    yield "Arrivals stamped", "by the kernel" if info.receive_stamp == "kernel" else "in user space"
    yield "HTTP", f"port {info.http_port}" if info.http_port else "not served"


def _offset(result: OffsetResult) -> str:
    if not result.offset_ms:
        return _unit(result.offset_ms, 4, "ms")
    where = "ahead of" if result.offset_ms > 0 else "behind"
    return f"{result.offset_ms:.4f} ms (the vehicle is {where} {result.topside})"


def _max_error(result: OffsetResult) -> str:
    if result.max_error_ms is None:
        return "-"
    return f"{result.max_error_ms:.4f} ms ({figure(result.lower_ms, 4)} to {figure(result.upper_ms, 4)})"


def _likely(result: OffsetResult) -> str:
    return "-" if result.u95_ms is None else f"{result.u95_ms:.4f} ms, 19 times in 20"


def _drift(result: OffsetResult) -> str:
    if result.drift_ppm is None:
        return "-"
    error = "" if result.drift_error_ppm is None else f" ± {result.drift_error_ppm:.2f}"
    told = f"{result.drift_ppm:+.2f} ppm{error}"
    if abs(result.drift_ppm) <= (result.drift_error_ppm or 0.0):
        return told  # its sign is not known
    per_day_s = abs(result.drift_ppm) * _S_PER_DAY_AT_1_PPM
    return f"{told} (the vehicle {'gains' if result.drift_ppm > 0 else 'loses'} {per_day_s:.3f} s a day)"


def _unit(value: float | None, decimals: int, unit: str) -> str:
    return "-" if value is None else f"{value:.{decimals}f} {unit}"
