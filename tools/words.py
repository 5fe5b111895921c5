"""`python -m tools.words`: refuse words and names that the project has replaced, and say what to use.

Words of plain English that were names here (hole, sea, gate) are refused as names only,
in Python and JavaScript.
"""

from __future__ import annotations

import io
import keyword
import re
import subprocess
import sys
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
_UNCHECKED = re.compile(
    r"^(CHANGELOG\.md|tools/words\.py|LICENSE|bench/results/.*|schemas/published/.*|.*\.(lock|png|svg)"
    r"|tests/samples/session_.*|tests/package-lock\.json|tidesync/plotly/.*\.js)$"
)

TEXT = {
    "anew": "again",
    "told": "reported, shown",
    "roster": "vehicles",
    "siege": "attack bench",
    "hearsay": "vehicle info",
    "asker": "request info, client",
    "rehearsal": "self test, paho_compat",
    "rehearse": "run the self test",
    "agenda": "deadline queue",
    "lull": "publish gate",
    "unseasoned": "warm-up factor",
    "witness": "checker, recorder",
    "ladder": "window set",
    "rung": "window index",
    "rungs": "windows",
    "owners_turn": "callback_runner",
    "whole_frames": "websocket_framer",
    "late_stamp": "one_step",
    "unacknowledged_queue": "inflight",
    "its faults end nothing": "exceptions are logged, never propagated",
    "wait so long at most": "wait up to `pause_s` seconds",
    "standing there deaf": "keep running without a server",
    "gone on with": "resumed",
    "is no news": "counts as stale",
    "found by themselves": "discovered automatically",
    "finds it by itself": "discovers it automatically",
    "throw each other out": "disconnect each other",
    "thief of a password": "stolen password",
}
"""Refused everywhere, as whole words or as a word of a name."""

WORDS_OF_NAMES = {
    "hole": "missing range",
    "holes": "missing",
    "desk": "command rules, command service",
    "ear": "recorder",
    "sea": "simulation",
    "alike": "symmetric",
    "unlike": "asymmetry",
    "centred": "smoother windows",
    "arena": "setup",
    "judge": "parse, check",
    "said": "reported, shown",
    "seldom": "rate limited",
    "season": "warmup",
}
"""Refused as a word of an identifier, names of tests excepted, or of a file's name."""

NAMES = {
    "OwnersTurn": "CallbackRunner",
    "WholeFrames": "WebSocketFramer",
    "LateStamp": "OneStepTimestamp",
    "Trials": "ReconnectPolicy",
    "Waiting": "SocketLoop",
    "Unacknowledged": "InflightQueue",
    "Turns": "Scheduler",
    "turns_of": "interleaving",
    "Standing": "Snapshot",
    "standing": "snapshot",
    "Gate": "AccessPolicy",
    "gate": "access_policy, publish_gate",
    "Got": "TimedResponse",
    "got": "response",
    "of_got": "from_response",
    "Steady": "KnownDriftFit",
    "Memory": "WindowErrors",
    "season_s": "warmup_s",
}
"""Refused as a whole identifier, or as a file's name."""

LOCAL_NAMES = {
    ("cells", r"^(topside_agent|tests/(unit|simulation)/test_estimator)"): "sub-window midpoints",
    ("memory", r"^topside_agent/estimator"): "window errors",
    ("turns", r"^bench/|^topside_agent/measuring"): "interleaving, scheduler",
    ("Match", r"^bench/"): "Run",
}
"""Refused as a whole identifier, in some places only."""

FILES = {
    "tidesync/sessions/recorder/ending.py": "closing.py",
    "tidesync/sessions/recorder/block.py": "metadata.py",
    "tidesync/sessions/correction/plan.py": "session.py",
    "broker/client/arrivals.py": "stamps.py",
    "tidesync/doctor/bursts.py": "broker_checks.py",
    "bench/peers/arena.py": "setup.py",
    "bench/peers/match.py": "run.py",
    "bench/peers/turns.py": "interleaving.py",
}
"""Modules that were merged or renamed."""

_JSON_KEYS = re.compile(r"\btold_s\b|(?<=[\"`.])anew\b")
"""Keys of the dashboard's interface, which stay."""
_TEXT = re.compile(rf"(?<![a-z])({'|'.join(map(re.escape, TEXT))})(?![a-z])", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_JAVASCRIPT_NAME = re.compile(
    r"(?P<skip>//[^\n]*|/\*.*?\*/|\"[^\"\n]*\"|'[^'\n]*'|`[^`]*`)|[A-Za-z_$][\w$]*", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Found:
    """An old word, where it is, and what to use."""

    path: str
    line: int
    word: str
    instead: str

    def __str__(self) -> str:
        """As a compiler would say it."""
        return f"{self.path}:{self.line}: {self.word} → {self.instead}"


def check(path: str, text: str) -> Iterator[Found]:
    """What is wrong with a file of this path and content."""
    if path in FILES:
        yield Found(path, 1, path, FILES[path])
    stem = Path(path).stem.removeprefix("test_")
    names = [(1, stem)] if re.fullmatch(r"\w+", stem) else []
    yield from _in_text(path, text)
    for line, name in [*names, *_names(path, text)]:
        yield from _in_name(path, line, name)


def _in_text(path: str, text: str) -> Iterator[Found]:
    for number, line in enumerate(text.splitlines(), start=1):
        for match in _TEXT.finditer(_JSON_KEYS.sub("", line)):
            yield Found(path, number, match[0], TEXT[match[0].lower()])


def _in_name(path: str, line: int, name: str) -> Iterator[Found]:
    if name in NAMES:
        yield Found(path, line, name, NAMES[name])
    for (local, where), instead in LOCAL_NAMES.items():
        if name == local and re.search(where, path):
            yield Found(path, line, name, instead)
    words = () if name.startswith("test_") else _WORD.findall(name)  # a test's name is a sentence
    for word in map(str.lower, words):
        if word in WORDS_OF_NAMES:
            yield Found(path, line, name, WORDS_OF_NAMES[word])


def _names(path: str, text: str) -> Iterator[tuple[int, str]]:
    if path.endswith(".py"):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
                yield token.start[0], token.string
    elif path.endswith((".js", ".ts")):
        for match in _JAVASCRIPT_NAME.finditer(text):
            if not match["skip"]:
                yield text.count("\n", 0, match.start()) + 1, match[0]


def main() -> int:
    """Check every file that git knows; 1 when something was found."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607 - the developer's git
    paths = [path for path in listed.stdout.split("\0") if path and not _UNCHECKED.match(path)]
    found = [
        one
        for path in paths
        if (ROOT / path).is_file()
        for one in check(path, (ROOT / path).read_text(encoding="utf-8"))
    ]
    for one in found:
        print(one)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
