"""What an export as netCDF has before the IOOS compliance checker: CF, ACDD and the templates of NCEI."""

import pytest

from tests.unit.test_correction_session import log
from tests.unit.test_export_netcdf import table
from tidesync.command_line import run
from tidesync.sessions.export.netcdf.settings import STATED
from tidesync.sessions.journal import lines_of

base = pytest.importorskip("compliance_checker.base", reason="it is installed on Linux for x86-64 alone")
runner = pytest.importorskip("compliance_checker.runner")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CF = ("cf:1.6", "cf:1.8")
ORTHOGONAL, INCOMPLETE = "ncei-timeseries-orthogonal:2.0", "ncei-timeseries-incomplete:2.0"
WITHOUT_NAME = 'variable "{}" missing the following attributes:'
OF_TABLES = {"recorded_time", "time_max_error_ms", "time_u95_ms"}
OF_TRACKS = {"lower_ns", "offset_ns", "segment", "u95_ns", "upper_ns", "vehicle_time"}
QUANTITIES = {
    "number": "sea_water_practical_salinity 1",
    "value": "sea_water_temperature degree_C",
    "depth (m)": "depth m",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An export of a table, of one whose instants repeat, and of rows without an answer; all is stated."""
    session = tmp_path_factory.mktemp("session")
    for name in ("time_sync", "in-water_7", "camera_1"):
        (session / name).mkdir()
    (session / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(log()))
    (session / "in-water_7" / "session.csv").write_text(table(range(-20, 110)))
    lines = table(range(5, 60)).splitlines()
    (session / "camera_1" / "log.csv").write_text("\n".join([*lines, *lines[1:]]) + "\n")
    place = ("--latitude", "60.1", "--longitude", "5.2", "--depth-m", "35", "--sensor", "camera=rov1")
    stated = [f"--attribute={name}=https://example.org/{name}" for name in STATED]
    stated += [f"--variable={column}={quantity}" for column, quantity in QUANTITIES.items()]
    assert run(["-q", "export", str(session), "--format", "netcdf", *place, *stated]) == 0
    return session / "time_sync" / "netcdf"


@pytest.fixture(scope="module")
def checked():
    """Of a file and suites: by suite what does not score in full, each by its weight and name."""
    suite = runner.CheckSuite()
    suite.load_all_available_checkers()

    def check(path, *suites):
        dataset = suite.load_dataset(str(path))
        results = suite.run_all(dataset, list(suites))
        dataset.close()
        return {name: list(lost(found, errors)) for name, (found, errors) in results.items()}

    return check


def lost(results, errors):
    assert not errors or {*errors} == {"check_time_extents"}, errors  # the checker's own, of two dimensions
    for result in results:
        points, most = result.value if isinstance(result.value, tuple) else (bool(result.value), 1)
        if points != most:
            yield result.weight, result.name, tuple(result.msgs or ())


@pytest.mark.parametrize(
    ("name", "template", "without_name"),
    [
        ("in-water_7/session.csv.nc", ORTHOGONAL, OF_TABLES),
        ("camera_1/log.csv.nc", INCOMPLETE, OF_TABLES),
        ("track.rov1.topside.nc", ORTHOGONAL, OF_TRACKS),
    ],
)
def test_the_checker_passes_it(folder, checked, name, template, without_name):
    """Nothing is required that is not there, but the standard names that CF does not have."""
    found = checked(folder / name, *CF, "acdd:1.3", template)
    assert [found[suite] for suite in CF] == [[], []]
    missing = {what for weight, what, _ in found["acdd:1.3"] if weight >= base.BaseCheck.MEDIUM}
    assert missing == {WITHOUT_NAME.format(each) for each in without_name}
    assert all(
        messages == ("standard_name",) for _, _, messages in found["acdd:1.3"] if messages[0][0] == "s"
    )
    assert [lost for lost in found[template] if lost[0] == base.BaseCheck.HIGH] == []


def test_rows_without_an_answer_are_valid_in_cf_too(folder, checked):
    found = checked(folder / "in-water_7" / "session.csv.unanswered.nc", *CF)
    assert [*found.values()] == [[], []]


def test_the_checker_would_notice(folder, checked, tmp_path):
    """A file without its template's depth, and with an instant that repeats."""
    import h5py  # noqa: PLC0415

    path = tmp_path / "bad.nc"
    path.write_bytes((folder / "in-water_7" / "session.csv.nc").read_bytes())
    with h5py.File(path, "r+") as file:
        del file["station_depth"].attrs["standard_name"]
        times = file["time"][...]
        times[3] = times[2]
        file["time"][...] = times
    found = checked(path, "cf:1.8", ORTHOGONAL)
    assert any("strictly monotonic" in str(each) for each in found["cf:1.8"])
    assert any(weight == base.BaseCheck.HIGH for weight, _, _ in found[ORTHOGONAL])
