"""Plotly's script for the report and the dashboard: the basic bundle, 3.7.0 (plotly.js-basic-dist-min)."""

from __future__ import annotations

from pathlib import Path

SCRIPT = Path(__file__).with_name("plotly-basic.min.js")
"""A quarter of the whole of Plotly: of its kinds of plots only lines, bars and pies."""


def script() -> str:
    """The script's text; OSError where the installation is incomplete."""
    return SCRIPT.read_text(encoding="utf-8")
