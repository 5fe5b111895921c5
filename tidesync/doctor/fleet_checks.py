"""Checks of the fleet: topsides, vehicles and their results, versions of the agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.errors import CredentialsError
from runtime.version import VERSION
from schemas.doubtful import is_doubtful
from schemas.messages import OffsetResult
from tidesync.doctor.finding import fail, ok, skipped, warn
from tidesync.doctor.group_checks import groups, measured_by_several
from tidesync.figures import ago, bound_figure, span
from tidesync.fleet.model import Fleet
from tidesync.fleet.order import Rank, measured, rank
from tidesync.fleet.vehicle import discipline_of, path_of, topsides_twice

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from runtime.clock import Reading
    from schemas.messages import Info
    from tidesync.doctor.finding import Finding
    from tidesync.doctor.observations import Observations
    from tidesync.fleet.vehicle import Row

_LOOK_ABOVE = "what is said of the broker above comes first"
_CLOCKS_DIFFER_S = 5.0
_SLOW_MS = 35.0

_OTHER_ERROR = "this version does not know that error, so relies on nothing: install one version everywhere"
_ERROR_ADVICE: dict[str, str] = {
    "timeout": "does its agent run, and may topside's account ping it?",
    "network_error": "does its address answer over HTTP?",
    "high_rtt": "the HTTP round trip takes more than 200 ms: measure over MQTT",
    "invalid_pi_time": "update its agent",
    "duplicate_vehicle": "two agents have this name: rename one (`tidesync pi --vehicle NAME`)",
    "duplicate_topside": "two topsides have this name: rename one (`tidesync topside --topside NAME`)",
    "clock_rate": "the RAW clocks run apart faster than the settings allow (`--rate-limit-ppm`)",
    "not_authorized": "look at the broker's access list",
}


def fleet_checks(seen: Observations, now: Reading) -> Iterator[Finding]:
    """Every check of vehicles and topsides."""
    if seen.connect_ms is None:
        refused = isinstance(seen.failure, CredentialsError)
        why = "the broker does not let us in" if refused else "the broker was not reached"
        yield skipped("vehicles", why)
        return
    fleet = Fleet.of(seen.letters)
    rows = fleet.rows(now)
    yield topsides(fleet, seen.incomplete, topsides_twice(rows) | seen.topsides_twice)
    yield from groups(seen)
    if not rows and seen.incomplete:
        yield fail("vehicles", f"whether any is there could not be found out: {seen.incomplete}", _LOOK_ABOVE)
    elif not rows:
        yield warn(
            "vehicles",
            "none is known",
            "start `tidesync pi` on the vehicle; may this account read its topics?",
        )
    yield from measured_by_several(rows)
    now_measured = measured(rows)
    for row in rows:
        if rank(row, now_measured) is Rank.REPLACED:
            old = ok(
                f"vehicle {row.vehicle}", f"old result by {row.topside}; another topside measures it now"
            )
            yield old.about(row.vehicle)
            continue
        yield vehicle(row)
        if row.info:
            yield agent(row.vehicle, row.info).about(row.vehicle)
            yield ok(f"clock of {row.vehicle}", discipline_of(row.info)).about(row.vehicle)
            answers = row.fresh and row.result is not None and row.result.state in {"acquiring", "locked"}
            current = row.result if answers else None
            yield direct_path(row.vehicle, row.info, current).about(row.vehicle)
    yield from unreadable(seen)
    yield clocks_agree(seen)


def topsides(fleet: Fleet, incomplete: str | None = None, twice: Collection[str] = ()) -> Finding:
    """Whether any topside is online, each under a name of its own; `twice` are names that two of them have.

    `incomplete`: why one that was not heard may be there all the same.
    """
    if twice:
        found = f"two topsides are named {', '.join(sorted(twice))}: none of their results can be relied on"
        return fail("topsides", found, _ERROR_ADVICE["duplicate_topside"])
    online = sorted(name for name, word in fleet.topsides.items() if word == "online")
    if online:
        return ok("topsides", f"online: {', '.join(online)}")
    if incomplete and not fleet.topsides:
        return warn("topsides", f"whether any is online could not be found out: {incomplete}", _LOOK_ABOVE)
    away = f" (offline: {', '.join(sorted(fleet.topsides))})" if fleet.topsides else ""
    return warn("topsides", f"none is online{away}", "start `tidesync topside` on the surface computer")


def vehicle(row: Row) -> Finding:
    """The state of one vehicle, as one topside measures it."""
    finding = _vehicle(row)
    return finding.about(row.vehicle, _shared(row))


def _shared(row: Row) -> str:
    """What is found of `row`, without its numbers."""
    result, status = row.result, row.status or "of unknown status"
    if result is None:
        return f"{status}, measured by nobody"
    state = f"{status}, {'' if row.fresh else 'old: '}{result.state} by {result.topside}"
    if not row.fresh:
        return f"{state}, not renewed"
    if result.error:
        return f"{state}: {result.error}"
    slow = result.state == "locked" and result.delay_min_ms is not None and result.delay_min_ms >= _SLOW_MS
    return f"{state}, but every exchange takes {_SLOW_MS:.0f} ms or more" if slow else state


def _vehicle(row: Row) -> Finding:
    check, result = f"vehicle {row.vehicle}", row.result
    status = row.status or "of unknown status"
    if result is None:
        return warn(check, f"{status}, measured by nobody", _unmeasured(row))
    state = f"{status}, {result.state} by {result.topside}"
    if not row.fresh:
        state = f"{status}, old: {result.state} by {result.topside}"
        renewed = f" for {span(row.age_s)} by this computer's clock" if row.age_s and row.age_s > 0 else ""
        advice = f"does topside {result.topside} run? `tidesync forget {row.vehicle}` clears its old results"
        return warn(check, f"{state}, not renewed{renewed}", advice)
    if result.error:
        found = fail if is_doubtful(result.error) else warn
        return found(check, f"{state}: {result.error}", _ERROR_ADVICE.get(result.error, _OTHER_ERROR))
    if result.state != "locked":
        return warn(check, state, "wait for it to lock; if it does not, is the vehicle on and its link up?")
    if result.delay_min_ms is not None and result.delay_min_ms >= _SLOW_MS:
        return warn(
            check,
            f"{state}, but no exchange took less than {result.delay_min_ms:.0f} ms",
            "over a cable that is Nagle's algorithm (`set_tcp_nodelay true` at the broker), or a bridge",
        )
    bound = "" if result.max_error_ms is None else f", max error {bound_figure(result.max_error_ms, 3)} ms"
    return ok(check, state + bound)


def _unmeasured(row: Row) -> str:
    if row.status == "online":
        return "does `tidesync topside` run, and is the vehicle among those it was given (--vehicle)?"
    return f"switch it on; `tidesync forget {row.vehicle}` if it is gone for good"


def agent(name: str, info: Info) -> Finding:
    """The version of a vehicle's agent, what the broker refuses it, and where it stamps arrivals."""
    check = f"agent of {name}"
    if info.topics_refused:
        return fail(
            check,
            f"the broker refuses its account {', '.join(info.topics_refused)}",
            "`tidesync broker add-vehicle` makes accounts that may use them",
        )
    if info.version != VERSION:
        return warn(check, f"version {info.version}, here it is {VERSION}", "install one version everywhere")
    if info.receive_stamp == "user":
        return warn(
            check,
            "it stamps arrivals in user space: results are correct, with a wider bound",
            "its log, or `tidesync doctor` there, says why: another system, seccomp profile, a proxy",
        )
    return ok(check, f"version {info.version}, as here; arrivals stamped by the kernel")


def direct_path(name: str, info: Info, result: OffsetResult | None) -> Finding:
    """Whether exchanges with a vehicle go straight between topside and it, and who may read their key."""
    check, path = f"direct path to {name}", None if result is None else path_of(result)
    if info.udp is None:
        return ok(check, "its agent offers none (`--no-udp`, or an earlier version)")
    used = "in use, by UDP" if path == "udp" else "offered over UDP"
    advice = []
    if path not in {"udp", None}:
        used += f", but the newest exchanges came over {path}"
        advice.append(
            "unless topside has `--no-udp`: may it reach the vehicle's UDP port (`--udp-port`; a firewall, a"
            " container's published port)?"
            " Accounts made by an earlier version lack the right: make them again"
        )
    if info.udp_key_public:
        used += (
            "; its agent has no account, so whoever reaches the broker can read the key and forge exchanges"
        )
        advice.append("make accounts: `tidesync up`, or `tidesync broker add-vehicle` and add-topside")
    return warn(check, used, "; ".join(advice)) if advice else ok(check, used)


def unreadable(seen: Observations) -> Iterator[Finding]:
    """Messages that cannot be decoded: usually from an agent of another version."""
    for topic, reason in sorted(seen.unreadable.items())[:10]:
        yield fail(
            "messages", f"{topic[:120]}: {reason}", "install one version everywhere; who publishes there?"
        )


def clocks_agree(seen: Observations) -> Finding:
    """Whether topsides' wall clocks agree with this computer's, by results received live."""
    ages = _live_ages_s(seen)
    check = "clocks at the surface"
    if not ages:
        return skipped(check, "no result was received live")
    topside, age_s = max(ages, key=lambda pair: abs(pair[1]))
    if abs(age_s) <= _CLOCKS_DIFFER_S:
        return ok(check, "results are dated by a clock that agrees with this one")
    return warn(
        check,
        f"what {topside} publishes is dated {ago(age_s)} by this computer's clock",
        "set the two clocks: ages in `status` and recorded times are by them",
    )


def _live_ages_s(seen: Observations) -> Sequence[tuple[str, float]]:
    return [
        (
            letter.body.topside,
            letter.incoming.received.realtime_ns / 1e9 - letter.body.measured_at.timestamp(),
        )
        for letter in seen.letters
        if isinstance(letter.body, OffsetResult) and letter.body.measured_at and not letter.incoming.retain
    ]
