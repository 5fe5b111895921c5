"""The end of a session: the smoothed track of each vehicle, `offsets.csv`, and the consumer's drift model."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from topside_agent.recorder.session import Closing

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.metadata import DriftModel

_log = logging.getLogger(__name__)


def close(exchanges: Path, offsets: Path, stopped_ns: int) -> Closing:
    """Compute what a session's end adds; without it the session is complete all the same."""
    drift_models: dict[str, DriftModel] = {}
    _log.debug("%s: no track is computed from %s yet", offsets, exchanges)
    return Closing(stopped_ns, drift_models, None)
