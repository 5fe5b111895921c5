"""`make audit`: what pip-audit found, or in one line why nothing could be found out."""

import json
import os
import re

import pytest

from tools import audit

CLEAN = {"name": "click", "version": "8.1.8", "vulns": []}
FLAW = {"id": "PYSEC-2026-1", "fix_versions": ["2.0"], "aliases": [], "description": "…"}
FLAWED = {"name": "paho-mqtt", "version": "1.0", "vulns": [FLAW]}
SKIPPED = {"name": "other", "skip_reason": "no such version"}


@pytest.fixture
def pip_audit(tmp_path, monkeypatch):
    """Puts a program of that name on the path, which prints, and ends with a code."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")

    def made(printed, code, error=""):
        program = tmp_path / "pip-audit"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{printed}\nEND\necho '{error}' >&2\nexit {code}\n")
        program.chmod(0o755)

    return made


def report(*packages):
    return json.dumps({"dependencies": packages, "fixes": []})


@pytest.mark.parametrize(
    ("packages", "code", "shown"),
    [
        ([CLEAN], 0, "1 versions of dev.lock, release.lock, docs.lock: 0 known vulnerabilities"),
        ([CLEAN, FLAWED], 1, "paho-mqtt 1.0: PYSEC-2026-1, mended in 2.0"),
        ([CLEAN, SKIPPED], 1, "not looked up: other (no such version)"),
        ([], 1, "0 versions"),
    ],
)
def test_what_was_found_is_shown_and_is_the_exit_code(pip_audit, capsys, packages, code, shown):
    pip_audit(report(*packages), 1 if FLAWED in packages else 0)
    assert audit.main() == code
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize("printed", ["", "not JSON", "[]", '{"dependencies": 5}', '{"dependencies": [{}]}'])
def test_a_database_that_cannot_be_reached_is_no_success_and_says_why(pip_audit, capsys, printed):
    pip_audit(printed, 1, "ERROR: the database is not reachable")
    assert audit.main() == 1
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert (
        re.search(r"could not be found out: (ERROR: the database is not reachable|$)", out)
        or "0 versions" in out
    )


def test_without_the_program_it_says_how_to_install_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert audit.main() == 2
    assert capsys.readouterr().out.startswith("pip-audit is not installed: pipx install pip-audit")


def test_the_locks_hold_what_every_other_lock_holds():
    versions = {
        path.name: set(re.findall(r"^([a-z0-9-]+==[^ ;]+)", path.read_text(), re.MULTILINE))
        for path in audit.FOLDER.glob("*.lock")
    }
    looked_up = set().union(*(versions[lock.name] for lock in audit.LOCKS))
    assert all(each <= looked_up for each in versions.values())
