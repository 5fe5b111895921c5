"""The broker: reached, let in, quick."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.client.paho_compat import hooks_fault
from broker.errors import CertificateFileError, CredentialsError
from tidesync.doctor import bursts
from tidesync.doctor.finding import fail, ok, skipped, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.settings import ConnectionSettings
    from tidesync.doctor.finding import Finding
    from tidesync.doctor.visit import Seen

_ADVICE = {
    "connection refused": "start the broker, or name another with --broker; is the port right?",
    "host name not found": "check the name, or use the broker's address",
    "no route to host": "check the cable, the tether and the network settings",
    "network unreachable": "check the cable, the tether and the network settings",
    "timed out": "is the machine on, and does a firewall let the port through?",
    "certificate": "name the right --ca-file; it must carry the name in --broker, and be in date",
    "TLS": "does this port speak TLS? mqtts:// and wss:// need a listener with a certificate",
    "no answer to CONNECT": "something else listens on that port; is it the right one?",
    "Client identifier": "the broker does not accept our client id; does it bind ids to accounts?",
    "Unsupported protocol": "the broker does not speak MQTT 3.1.1; allow it there",
    "Server unavailable": "the broker is starting or full (max_connections); look at its log",
}


def broker_checks(settings: ConnectionSettings, seen: Seen) -> Iterator[Finding]:
    """All of the broker, as the visit saw it."""
    yield reached(settings, seen)
    yield credentials(settings, seen)
    if seen.connect_ms is None:
        return
    yield undisturbed(settings, seen)
    yield own_nodelay(seen)
    yield bursts.judged(seen.bursts, seen.round_trip_ms)
    yield stamps(seen)
    yield broker_version(seen)


def reached(settings: ConnectionSettings, seen: Seen) -> Finding:
    """Whether the broker can be reached, else why not."""
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


def credentials(settings: ConnectionSettings, seen: Seen) -> Finding:
    """Whether the broker lets this account in."""
    account = f"account {settings.account!r}" if settings.account else "no account"
    if seen.connect_ms is not None:
        return ok("credentials", f"accepted: {account}")
    if isinstance(seen.failure, CredentialsError):
        advice = "check the name and the password file" if settings.account else "name one with --username"
        return fail(
            "credentials", str(seen.failure), f"{advice}; a new account: `tidesync broker add-operator NAME`"
        )
    return skipped("credentials", "the broker was not reached")


def undisturbed(settings: ConnectionSettings, seen: Seen) -> Finding:
    """Whether the connection stood: a broker ends the older of two with one account."""
    if not seen.lost:
        return ok("connection", "stood all the while")
    advice = "look at the broker's log and the network"
    if settings.account:
        advice = f"does another program use account {settings.account!r}? Each needs one of its own"
    return warn("connection", f"lost {len(seen.lost)} times: {seen.lost[-1]}", advice)


def own_nodelay(seen: Seen) -> Finding:
    """Whether our own socket sends at once, as the system itself says."""
    if seen.nodelay:
        return ok("our TCP_NODELAY", "on, as getsockopt says")
    return fail(
        "our TCP_NODELAY",
        "the system keeps Nagle's algorithm on",
        "expect delays of 40 ms; is there a proxy library, or a sandbox, between us and the socket?",
    )


def stamps(seen: Seen) -> Finding:
    """Where arrivals are stamped, and why not in the kernel."""
    check = "arrival stamps"
    if seen.receive_stamp == "kernel":
        return ok(check, "taken by the kernel")
    why = seen.unstamped_because or "no message has come yet that shows it"
    fault = hooks_fault()
    if fault:
        why, advice = (
            f"this paho has no place for the hooks ({fault})",
            "install paho-mqtt 2.2: `pip install 'paho-mqtt~=2.2'`",
        )
    elif "refuses" in why:
        advice = "allow setsockopt SO_TIMESTAMPING in the container's seccomp profile"
    elif "proxy" in why:
        advice = "connect without a proxy"
    else:
        advice = "nothing to do if this is no Linux; else see docs/stamps.md"
    return warn(check, f"taken in user space: {why}; results stay right, with a wider bound", advice)


def broker_version(seen: Seen) -> Finding:
    """What the broker says it is, where it lets us read that."""
    if seen.version:
        return ok("broker's version", seen.version)
    return skipped("broker's version", "it does not tell this account ($SYS/broker/version)")
