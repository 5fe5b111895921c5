"""Two distributions of one tree: disjoint, complete, and the vehicle's works without the surface's."""

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_string
from pathlib import Path
from sysconfig import get_path

import click
import pytest

from schemas.toml import tomllib
from tidesync.command_line import cli

ROOT = Path(__file__).parents[2]
PI = ROOT / "distributions" / "tidesync-pi"
ROOMS = ("schemas", "runtime", "broker", "pi_agent", "topside_agent", "tidesync")
WITHOUT = ("click", "paho", "platformdirs", "prometheus_client", "uvicorn", "numpy", "tomli", "tidesync")
pytestmark = pytest.mark.slow


def built(project, folder, *targets):
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    options = [word for target in targets for word in ("-t", target)]
    subprocess.run([*command, *options], cwd=project, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder with both wheels and both sdists."""
    folder = tmp_path_factory.mktemp("made")
    for project in (PI, ROOT):
        built(project, folder, "sdist", "wheel")
    return folder


def wheel(folder, name):
    return next(folder.glob(f"{name}-*.whl"))


def modules(path):
    return {
        name for name in zipfile.ZipFile(path).namelist() if not re.match(r"[^/]+\.(dist-info|data)/", name)
    }


def metadata(path):
    archive = zipfile.ZipFile(path)
    name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_string(archive.read(name).decode())


class Environment:
    """Where wheels are installed; libraries are those of the tests, our tree is out of reach."""

    def __init__(self, path):
        venv.create(path, with_pip=False, symlinks=True)
        self.bin = path / "bin"
        self.folder = path / "empty"
        self.folder.mkdir()
        libraries = Path(self.python("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        (libraries / "libraries.pth").write_text(get_path("purelib") + "\n", encoding="utf-8")

    def run(self, program, *arguments, **variables):
        own = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **variables}
        command = [str(self.bin / program), *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=own, capture_output=True, text=True, timeout=120, check=False
        )

    def python(self, *arguments):
        done = self.run("python", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pip(self, *arguments):
        pip = [sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "-q"]
        subprocess.run([*pip, *map(str, arguments)], check=True, capture_output=True, timeout=120)

    def install(self, *wheels):
        self.pip("install", "--no-deps", "--no-index", "--disable-pip-version-check", *wheels)


@pytest.fixture(scope="module")
def vehicle(made, tmp_path_factory):
    """A vehicle: the distribution tidesync-pi alone."""
    environment = Environment(tmp_path_factory.mktemp("vehicle"))
    environment.install(wheel(made, "tidesync_pi"))
    return environment


def test_every_file_of_the_packages_is_in_one_wheel_and_no_other(made):
    pi, surface = modules(wheel(made, "tidesync_pi")), modules(wheel(made, "tidesync"))
    files = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and not {"__pycache__", "node_modules"} & {*path.parts}
    }
    assert pi & surface == set()
    assert pi | surface == files


@pytest.mark.parametrize("name", ["tidesync_pi", "tidesync"])
def test_the_sdist_builds_the_same_wheel(made, tmp_path, name):
    safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(next(made.glob(f"{name}-*.tar.gz"))) as archive:
        archive.extractall(tmp_path, **safely)
    (unpacked,) = tmp_path.iterdir()
    again = wheel(built(unpacked, tmp_path / "again", "wheel"), name)
    assert modules(again) == modules(wheel(made, name))
    assert str(metadata(again)) == str(metadata(wheel(made, name)))


def test_the_surfaces_distribution_requires_the_vehicles_in_its_own_version(made):
    pi, surface = metadata(wheel(made, "tidesync_pi")), metadata(wheel(made, "tidesync"))
    assert pi["Version"] == surface["Version"]
    assert f"tidesync-pi=={pi['Version']}" in surface.get_all("Requires-Dist")
    for each in (pi, surface):
        assert each["License-Expression"] == "MIT"
        assert each["Description-Content-Type"] == "text/markdown"
        assert len(each.get_payload()) > 500
    assert (PI / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_no_library_is_required_by_both():
    """The surface's brings the vehicle's; two ranges could contradict each other."""
    pi, surface = (
        {re.split(r"[~=<>;]", one)[0] for one in project["dependencies"]}
        for folder in (PI, ROOT)
        for project in [tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]]
    )
    assert {"click", "fastapi"} <= pi
    assert "numpy" in surface
    assert pi & surface == set()


@pytest.mark.parametrize("name", ["tidesync_pi", "tidesync"])
def test_each_brings_the_command(made, name):
    """As pipx and uvx look at the distribution that was asked for, not at what it requires."""
    archive = zipfile.ZipFile(wheel(made, name))
    (entry,) = [path for path in archive.namelist() if path.endswith(".dist-info/entry_points.txt")]
    assert archive.read(entry).decode() == "[console_scripts]\ntidesync = tidesync.__main__:main\n"


@pytest.mark.parametrize("arguments", [["--version"], ["pi", "--help"], ["doctor", "--help"]])
def test_a_vehicle_has_its_commands(vehicle, arguments):
    done = vehicle.run("tidesync", *arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_vehicle_shows_its_own_commands_first_and_what_brings_the_others(vehicle):
    own, others = vehicle.run("tidesync", "--help").stdout.split("After `pip install tidesync`:")
    shown = re.findall(r"^  ([a-z]+)  ", own.split("Commands:")[1], re.MULTILINE)
    assert shown == ["pi", "doctor", "completion"]
    assert {"up", "demo", "topside", "correct"} <= set(re.findall(r"^  ([a-z]+)  ", others, re.MULTILINE))


def test_the_manual_page_is_installed_and_shows_every_command_and_option(vehicle):
    page = (vehicle.bin.parent / "share/man/man1/tidesync.1").read_text(encoding="utf-8").replace("\\-", "-")
    root = click.Context(cli, info_name="tidesync")
    for name in cli.list_commands(root):
        assert f"\n.SS tidesync {name} [OPTIONS]" in page
        for parameter in cli.get_command(root, name).params:
            assert all(option in page for option in parameter.opts if option.startswith("--"))


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("tidesync do", {"doctor"}),
        ("tidesync pi --join-", set()),
        ("tidesync pi --jo", {"--join"}),
        ("tidesync completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_the_script_for_a_shell_completes_commands_options_and_values(vehicle, line, offered):
    script = vehicle.run("tidesync", "completion", "bash").stdout
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    variable = re.search(r"(_TIDESYNC\w+)=bash_complete", script)[1]
    done = vehicle.run("tidesync", **asked, **{variable: "bash_complete"})
    assert {each.partition(",")[2] for each in done.stdout.split()} == offered
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_a_command_that_a_vehicle_has_not_says_what_to_install(vehicle):
    done = vehicle.run("tidesync", "topside", "--rate", "4")
    assert done.returncode == 2
    assert done.stderr == (
        "tidesync: the command topside is not installed here; it comes with: pip install tidesync\n"
    )


def test_a_vehicle_imports_the_package_and_learns_what_brings_the_librarys_names(vehicle):
    code = "import tidesync\ntry: tidesync.open_session\nexcept ImportError as error: print(error)"
    expected = "tidesync.open_session is not installed here; it comes with: pip install tidesync\n"
    assert vehicle.python("-c", code) == expected


def test_the_doctor_examines_a_vehicle(vehicle):
    done = vehicle.run("tidesync", "doctor", "--broker", "mqtt://127.0.0.1:9", "--json")
    assert done.returncode == 1
    assert '"topside_agent is not installed here"' in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "variables", "code", "error"),
    [
        ('vehicle = "ROV 1"\n[topside]\nrate = 4\n', {}, 2, "tidesync.toml: vehicle"),
        ('tokne = "pw"\n', {}, 2, "unknown setting tokne; a command that is not installed here takes its"),
        ("[tpside]\n", {}, 2, "no command takes settings from [tpside]; did you mean [topside]?\n"),
        ("", {"TIDESYNC_TOKEN": "pw"}, 2, "unknown setting: environment variable TIDESYNC_TOKEN"),
    ],
)
def test_a_vehicle_takes_a_table_of_the_surface_and_refuses_what_it_does_not_know(
    vehicle, content, variables, code, error
):
    (vehicle.folder / "tidesync.toml").write_text(content, encoding="utf-8")
    try:
        done = vehicle.run("tidesync", "pi", **variables)
    finally:
        (vehicle.folder / "tidesync.toml").unlink()
    assert done.returncode == code
    assert error in done.stderr
    assert "pw" not in done.stderr


def test_the_router_needs_fastapi_and_pydantic_alone(vehicle):
    """And what these bring themselves; as a service of the user's own has it."""
    block = f"import sys; sys.modules.update(dict.fromkeys({WITHOUT!r}))"
    show = "from pi_agent.http import router; print([route.path for route in router.routes])"
    assert vehicle.python("-c", f"{block}; {show}") == "['/api/sync/time']\n"


def test_both_install_beside_each_other_and_one_goes_without_the_other(made, tmp_path):
    surface = Environment(tmp_path)
    surface.install(wheel(made, "tidesync_pi"), wheel(made, "tidesync"))
    assert "After `pip install" not in surface.run("tidesync", "--help").stdout
    for command in ("topside", "demo", "up"):
        assert surface.run("tidesync", command, "--help").returncode == 0
    surface.pip("uninstall", "-y", "tidesync")  # takes the script too, which pip made for both
    assert surface.run("python", "-m", "tidesync", "pi", "--help").returncode == 0
    assert "comes with: pip install tidesync" in surface.run("python", "-m", "tidesync", "demo").stderr
