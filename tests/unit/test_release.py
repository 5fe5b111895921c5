"""What a release is made of: one version, its notes, the workflow, the files for BlueOS's store."""

import json
import re
import shutil

import pytest
import yaml

from runtime.version import VERSION
from tools import release

ROOT = release.ROOT
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
STORE = ROOT / "deploy" / "blueos" / "store"
NOTES = "### Added\n\n- a thing"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """The files that a release looks at, ready for the present version."""
    for name in release.PLACES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    sections = ("[Unreleased]\n", f"[{VERSION}] - 2026-05-01\n\n{NOTES}\n", "[0.0.9] - 2026-04-01\n\n- old\n")
    text = "# Changelog\n\n" + "\n".join(f"## {section}" for section in sections)
    (tmp_path / "CHANGELOG.md").write_text(text, encoding="utf-8")
    monkeypatch.setattr(release, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("tree")
def test_a_release_prints_the_section_of_its_version_alone(capsys):
    assert release.main([VERSION]) == 0
    assert capsys.readouterr().out == NOTES + "\n"


@pytest.mark.parametrize("name", [*release.PLACES, "CHANGELOG.md"])
def test_a_file_with_another_version_is_named(tree, capsys, name):
    text = (tree / name).read_text(encoding="utf-8")
    (tree / name).write_text(text.replace(VERSION, "0.0.1"), encoding="utf-8")
    assert release.main([VERSION]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert f"{name}: expected" in output.err


def test_a_requirement_on_another_version_of_the_vehicles_part_is_named(tree, capsys):
    path = tree / "pyproject.toml"
    text = path.read_text(encoding="utf-8").replace("tidesync-pi==", "tidesync-pi>=")
    path.write_text(text, encoding="utf-8")
    assert release.main([VERSION]) == 1
    assert f"expected the requirement tidesync-pi=={VERSION}" in capsys.readouterr().err


def test_without_a_version_it_says_how_it_is_used(capsys):
    assert release.main([]) == 2
    assert "VERSION" in capsys.readouterr().err


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_gives_each_job_its_own_rights_and_runs_what_is_there(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for job in workflow["jobs"].values():
        assert job["permissions"]
        assert job["timeout-minutes"]
        for step in job["steps"]:
            command = step.get("run", "")
            assert "${{" not in command  # what an event holds must not become a command
            for target in re.findall(r"\bmake ([a-z-]+)", command):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE)
            for module in re.findall(r"-m (tools[.a-z_]*)", command):
                assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file()
            for file in re.findall(r"(?:-r|--file|bash) (\S+)", command):
                assert (ROOT / file).is_file()


def test_only_the_job_that_publishes_can_prove_who_it_is():
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
    proving = [name for name, job in workflow["jobs"].items() if "id-token" in job["permissions"]]
    assert proving == ["publish"]
    assert {"test", "build"} <= set(workflow["jobs"]["publish"]["needs"])


def test_the_files_for_blueos_store_are_what_it_reads():
    """BlueOS-Extensions-Repository, README.md and `consolidate.py`: company, extension, texts, logos."""
    (company,) = STORE.iterdir()
    (path,) = STORE.rglob("metadata.json")
    assert path.parent.parent == company
    metadata = json.loads(path.read_text(encoding="utf-8"))
    assert set(metadata) == {"name", "website", "docker", "description"}
    assert metadata["website"].startswith("https://")
    image = metadata["docker"].rpartition("/")[2]
    assert f"{image}:${{VERSION}}" in (ROOT / "deploy/docker-bake.hcl").read_text(encoding="utf-8")
    for logo in (company / "company_logo.png", path.parent / "extension_logo.png"):
        assert logo.read_bytes().startswith(b"\x89PNG\r\n")
