"""Recordings as Cockpit writes them, with a known truth; after its `sensors-logging.ts` and `video.ts`."""

from datetime import datetime, timedelta, timezone
from itertools import pairwise

import numpy as np

from tests.unit.tracks import START, S

STYLES = ("LeftBottom", "CenterBotom", "RightBottom", "LeftMid", "LeftTop")
MS = 1_000_000
HEAD = """[Script Info]
Title: Cockpit Subtitle Telemetry file
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: LeftBottom,Arial,30

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text"""


def local(unix_ms, east_min):
    return datetime.fromtimestamp(unix_ms // 1000, timezone(timedelta(minutes=east_min)))


def zone(east_min):
    hours, minutes = divmod(abs(east_min), 60)
    return f"GMT{'-' if east_min < 0 else '+'}{hours}" + (f":{minutes:02}" if minutes else "")


def video_name(begin_ms, east_min=0, mission="Reef 42", suffix=".mp4"):
    shown = f"{local(begin_ms, east_min):%b %d, %Y - %H꞉%M꞉%S} {zone(east_min).replace(':', '_')}"
    return f"{mission} ({shown}) #1a2b3c4d{suffix}"


def time_of(passed_ms):
    seconds, ms = divmod(abs(passed_ms), 1000) if passed_ms < 0 else divmod(passed_ms, 1000)
    hundredths = 0 if passed_ms < 0 else ms // 10
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{hundredths:02}"


def write_recording(folder, clock, *, begin_s=10.2, seconds=100, east_min=0, times=True, step_s=1.0):
    """Subtitles; their path, the truth of the begin, and of each point by its line, ns of topside."""
    chance = np.random.default_rng(5)
    begin_ns = START + round(begin_s * S)
    begin_ms = int(clock.shows(begin_ns)) // MS
    instants, at_ns = [], begin_ns - round(0.3 * step_s * S)
    while at_ns < begin_ns + seconds * S:
        if not clock.off((at_ns - START) / S):
            instants.append((int(clock.shows(at_ns)) // MS, at_ns))
        at_ns += round(step_s * S) + int(chance.integers(1, 12)) * MS
    instants.sort()
    lines, truth = HEAD.split("\n"), {}
    for number, ((epoch, true_ns), (following, _)) in enumerate(pairwise(instants)):
        truth[len(lines) + 1] = true_ns
        now = local(epoch, east_min)
        shown = f"{now:%b %d, %Y}\\N{now:%H:%M:%S} {zone(east_min)}" if times else "Heading: 7, ok"
        texts = [f"Depth: {number} m", "", "Pitch: 0.1 °\\NRoll, 2", "", shown]
        both = f"{time_of(epoch - begin_ms)},{time_of(following - begin_ms)}"
        lines += [
            f"Dialogue: 0,{both},{style},,0,0,0,,{text}" for style, text in zip(STYLES, texts, strict=True)
        ]
    path = folder / video_name(begin_ms, east_min, suffix=".ass")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path, begin_ns, truth
