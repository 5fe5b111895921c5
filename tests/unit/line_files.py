"""Files of stamped lines with a known truth: JSON lines, and logs of NMEA sentences and text."""

import json

import numpy as np

from tests.unit.tracks import START, S


def instants(clock, *, seconds=120, rate=10, seed=2):
    """Topside's instants of lines that the clock stamped, ns."""
    chance = np.random.default_rng(seed)
    drawn = [START + number * S // rate + int(chance.integers(S // rate)) for number in range(seconds * rate)]
    return [at_ns for at_ns in drawn if not clock.off((at_ns - START) / S)]


def iso(unix_ns, digits=6, zone="Z"):
    """ISO 8601 in UTC, digits cut off."""
    text = str(np.datetime64(int(unix_ns), "ns"))
    return text[: 20 + digits].rstrip(".") + zone


def decimal_s(unix_ns, digits=6):
    """Unix seconds, digits cut off."""
    whole, rest = divmod(int(unix_ns), S)
    return f"{whole}.{rest:09d}"[: len(str(whole)) + 1 + digits]


def write_json_lines(path, clock, shown=lambda ns: json.dumps(iso(ns)), **manner):
    """Objects that differ in their spaces and keys; topside's instants, by the number in each."""
    truth, lines = instants(clock, **manner), []
    for number, at_ns in enumerate(truth):
        stamp = shown(clock.shows(at_ns))
        further = ('"depth": 1.50, "note": "} é"', '"n": {"timestamp": 7, "a": [1,2]}', '"x":1e3 ')[
            number % 3
        ]
        lines.append(f'{{"number": {number}, "timestamp":{stamp}, {further}}}')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return truth


NMEA = (
    "$GPGGA,120000.00,4807.038,N,01131.000,E,1,08,0.9,545.4,M,,*47",
    "!AIVDM,1,1,,B,x,0*5C",
    "$SDDBT,-12.5,f*3A",
)


def write_log(path, clock, shown=iso, *, end="\r\n", **manner):
    """Sentences behind a stamp, after every fifth a line without one; topside's instants, in their order."""
    truth, lines = instants(clock, **manner), ["# a head"]
    for number, at_ns in enumerate(truth):
        lines.append(f"{shown(clock.shows(at_ns))} {NMEA[number % 3]} no {number} é")
        lines += [f"  which goes on: {number}"] if number % 5 == 0 else []
    path.write_bytes("".join(line + end for line in lines).encode())
    return truth
