"""Valid input with random changes, and how many examples a run takes (`make fuzz`: new ones without end)."""

import copy
import json
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.effort import tries

OPEN_ENDED = os.environ.get("FUZZ") == "open"
_WITHOUT_END = 100


def budget(usual):
    """Settings for `usual` examples, the same ones in each run; open-ended: many more, and always others."""
    examples = usual * _WITHOUT_END if OPEN_ENDED else tries(usual)
    return settings(
        max_examples=examples,
        derandomize=not OPEN_ENDED,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1, 2**31, 2**53, 2**62, 2**63 - 1, 2**63, -(2**63), 10**30, 1e308, -1e-308, 0.5]),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=True, allow_infinity=True),
)
TEXTS = st.one_of(
    st.sampled_from(["", "x" * 300, "\x00", "../..", "0001-01-01T00:00:00+14:00"]),
    st.text(max_size=20),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=5,
)


def _places(document, before=()):
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in pairs:
        yield (*before, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*before, key))


@st.composite
def documents(draw, valid):
    """`valid` (a JSON value) with some of its values replaced, moved a little, or left out."""
    changed = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(list(_places(changed)) or [()]))
        if not place:
            break
        target = changed
        for key in place[:-1]:
            target = target[key]
        value, kind = target[place[-1]], draw(st.integers(0, 4))
        if kind == 0:
            del target[place[-1]]
        elif kind == 1 and isinstance(value, int | float):
            target[place[-1]] = value + draw(st.integers(-(10**19), 10**19))
        else:
            target[place[-1]] = draw(VALUES)
    return changed


@st.composite
def payloads(draw, valid):
    """The bytes of an altered document; some are cut, have other bytes in them, or are none at all."""
    payload = json.dumps(draw(documents(valid))).encode("utf-8", "surrogatepass")
    kind = draw(st.integers(0, 7))
    if kind == 0:
        return payload[: draw(st.integers(0, len(payload)))]
    if kind == 1:
        at = draw(st.integers(0, len(payload)))
        return payload[:at] + draw(st.binary(max_size=8)) + payload[at + 2 :]
    return draw(st.binary(max_size=60)) if kind == 2 else payload
