"""Checks of the broker: reachable, credentials, TCP_NODELAY, arrival stamps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.client.make import hooks_fault
from broker.errors import CertificateFileError, CredentialsError
from tidesync.doctor.finding import fail, ok, skipped, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from broker.settings import ConnectionSettings
    from tidesync.doctor.finding import Finding
    from tidesync.doctor.observations import Burst, Observations

_ADVICE = {
    "connection refused": "start the broker, or name another with --broker; is the port right?",
    "host name not found": "check the name, or use the broker's address",
    "no route to host": "check the cable, the tether and the network settings",
    "network unreachable": "check the cable, the tether and the network settings",
    "timed out": "is the machine on, and does a firewall let the port through?",
    "certificate": "name the right --ca-file; it must carry the name in --broker, and be in date",
    "TLS": "does this port speak TLS? mqtts:// and wss:// need a listener with a certificate",
    "no answer to CONNECT": "something else listens on that port; is it the right one?",
    "CONNACK 1": "allow MQTT 3.1.1 at the broker, or use another one",
    "CONNACK 2": "give it the account that the broker binds client ids to; does another program use that?",
    "CONNACK 3": "wait for the broker to be ready, or raise its max_connections; its log says which",
}
_NODELAY = "broker's TCP_NODELAY"
_DELAYED_ACK_MS = (35.0, 55.0)
_HELD_BACK_SHARE = 0.2
_FEWEST_BURSTS = 5
_NODELAY_ADVICE = (
    "set `set_tcp_nodelay true` in mosquitto.conf and restart it: 40 ms in one direction are"
    " 20 ms of error in every offset, which no filter can see"
)


def broker_checks(settings: ConnectionSettings, seen: Observations) -> Iterator[Finding]:
    """Every check of the broker, from what was observed."""
    yield reached(settings, seen)
    yield credentials(settings, seen)
    if seen.connect_ms is None:
        return
    yield undisturbed(settings, seen)
    yield subscriptions(settings, seen)
    yield retained(seen)
    yield own_nodelay(seen)
    yield broker_nodelay(seen.bursts, seen.round_trip_ms)
    yield stamps(seen)
    yield broker_version(seen)


def reached(settings: ConnectionSettings, seen: Observations) -> Finding:
    """Whether the broker answers; if not, why."""
    if seen.connect_ms is not None:
        return ok("broker", f"{settings.address} answers, within {seen.connect_ms:.0f} ms")
    if isinstance(seen.failure, CredentialsError):
        return ok("broker", f"{settings.address} answers")
    if isinstance(seen.failure, CertificateFileError):
        return fail("broker", str(seen.failure), "name a file that holds it, in PEM")
    whole = str(seen.failure or seen.problem or "no answer")
    problem = whole.removeprefix(f"broker {settings.address}: ")
    advice = next((advice for words, advice in _ADVICE.items() if words in problem), "look at its log")
    return fail("broker", f"{settings.address}: {problem}", advice)


def credentials(settings: ConnectionSettings, seen: Observations) -> Finding:
    """Whether the broker accepts the account."""
    account = f"account {settings.account!r}" if settings.account else "no account"
    if seen.connect_ms is not None:
        return ok("credentials", f"accepted: {account}")
    if isinstance(seen.failure, CredentialsError):
        advice = "check the name and the password file" if settings.account else "name one with --username"
        return fail(
            "credentials", str(seen.failure), f"{advice}; a new account: `tidesync broker add-operator NAME`"
        )
    return skipped("credentials", "the broker was not reached")


def undisturbed(settings: ConnectionSettings, seen: Observations) -> Finding:
    """Whether the connection held: a broker ends the older of two with the same account."""
    if not seen.lost:
        return ok("connection", "held throughout")
    advice = "look at the broker's log and the network"
    problem = (seen.problem or "").removeprefix(f"broker {settings.address}: ")
    if "again and again" in problem:
        return fail(
            "connection",
            problem,
            "the broker's log says what it refuses; `tidesync broker` writes access lists",
        )
    if settings.account:
        advice = f"does another program use account {settings.account!r}? Each needs one of its own"
    return warn("connection", f"lost {len(seen.lost)} times: {seen.lost[-1]}", advice)


def subscriptions(settings: ConnectionSettings, seen: Observations) -> Finding:
    """Whether the broker lets this account subscribe to what is checked here."""
    check = "subscriptions"
    if not seen.subscribed:
        return fail(
            check,
            "the broker accepts the connection, and does not answer a subscription",
            "its log says why: a cluster may be without a leader",
        )
    if not seen.refused:
        return ok(check, "none is refused (mosquitto with an acl_file grants every one, and sends nothing)")
    account = f"account {settings.account!r}" if settings.account else "a client without an account"
    return warn(
        check,
        f"the broker refuses {account}: {', '.join(seen.refused)}",
        "what is there is not checked; use an operator's account: `tidesync broker add-operator NAME`",
    )


def retained(seen: Observations) -> Finding:
    """Whether a new subscription with wildcards is sent what the broker has retained."""
    check = "retained messages"
    if seen.retained_sent is None:
        return skipped(check, "nothing is retained yet that this account may read")
    if seen.retained_sent:
        return ok(check, "sent to new subscriptions, with wildcards too")
    found = (
        "not sent to subscriptions with wildcards" if seen.retained_kept else "not sent to new subscriptions"
    )
    return warn(
        check,
        found,
        "vehicles and topsides are found within a minute, by what they publish again; sessions that are not"
        " being recorded are not listed. mosquitto and NATS send them",
    )


def own_nodelay(seen: Observations) -> Finding:
    """Whether our own socket has TCP_NODELAY set, by getsockopt."""
    if seen.nodelay:
        return ok("our TCP_NODELAY", "on, as getsockopt says")
    return fail(
        "our TCP_NODELAY",
        "the system keeps Nagle's algorithm enabled",
        "expect delays of 40 ms; is there a proxy library, or a sandbox, between us and the socket?",
    )


def broker_nodelay(bursts: Sequence[Burst], round_trip_ms: float) -> Finding:
    """Whether the broker holds small packets back (Nagle's algorithm).

    The second small packet then waits for the acknowledgement of the first, which Linux delays by 40 ms: not
    always, but always by about that much, whatever the network. Jitter is wider. `round_trip_ms` is the least
    round trip of one packet.
    """
    if len(bursts) < _FEWEST_BURSTS:
        return skipped(
            _NODELAY,
            f"too few bursts to decide ({len(bursts)}): the broker has retained nothing yet",
            "run it again once a vehicle is measured",
        )
    late = [burst for burst in bursts if _held_back(burst, round_trip_ms)]
    if len(late) >= max(2, _HELD_BACK_SHARE * len(bursts)):
        typical = sorted(burst.last_ms for burst in late)[len(late) // 2]
        return warn(
            _NODELAY,
            f"{len(late)} of {len(bursts)} bursts were held back for {typical:.0f} ms",
            _NODELAY_ADVICE,
        )
    slowest = max(burst.last_ms for burst in bursts)
    return ok(_NODELAY, f"effective: the slowest of {len(bursts)} bursts came within {slowest:.1f} ms")


def _held_back(burst: Burst, round_trip_ms: float) -> bool:
    low, high = _DELAYED_ACK_MS
    since_first, since_due = burst.last_ms - burst.first_ms, burst.last_ms - round_trip_ms
    return low <= since_first <= high or low <= since_due <= high


def stamps(seen: Observations) -> Finding:
    """Where arrivals are stamped, and if not in the kernel, why."""
    check = "arrival stamps"
    if seen.receive_stamp == "kernel":
        return ok(check, "taken by the kernel")
    why = seen.unstamped_because or "no message has arrived yet that shows it"
    fault = hooks_fault()
    if fault:
        why, advice = (
            fault,
            "install paho-mqtt 2.2: `pip install 'paho-mqtt~=2.2'`",
        )
    elif "refuses" in why:
        advice = "allow setsockopt SO_TIMESTAMPING in the container's seccomp profile"
    elif "proxy" in why:
        advice = "connect without a proxy"
    else:
        advice = "nothing to do where the system is not Linux; else see docs/stamps.md"
    return warn(check, f"taken in user space: {why}; results stay right, with a wider bound", advice)


def broker_version(seen: Observations) -> Finding:
    """The broker's own version, where the account may read it."""
    if seen.version:
        return ok("broker's version", seen.version)
    return skipped("broker's version", "this account may not read $SYS/broker/version")
