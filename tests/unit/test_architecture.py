"""The rooms of ARCHITECTURE.md: imports run one way, without circles;
modules are short and open with a docstring."""

import ast
import tokenize
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from schemas.toml import tomllib
from tests.conftest import LONG

ROOT = Path(__file__).parents[2]
LAYERS = {"schemas": 0, "runtime": 1, "broker": 2, "pi_agent": 3, "topside_agent": 3, "tidesync": 4}
LONGEST = 300
PARTS = tomllib.loads((ROOT / "distributions/tidesync-pi/pyproject.toml").read_text(encoding="utf-8"))[
    "tool"
]["hatch"]["build"]["hooks"]["custom"]["parts"]
WITH_THE_SURFACE = {"tidesync.doctor.self_test", "tidesync.fleet.forgetting"}
"""In folders that a vehicle has, but imported, within functions, where `topside_agent` is."""


def files(*folders):
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "node_modules" not in path.parts
    )


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path, modules):
    """Every module that a file imports anywhere: at its top, in a function, for type checking only."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in names}
    return found


PRODUCT = {module_name(path): path for path in files(*LAYERS)}


@cache
def imports():
    """What each module of the product imports."""
    return {module: imported(path, PRODUCT) for module, path in PRODUCT.items()}


def opens_with_docstring(path):
    """Whether a string that says something stands before all code."""
    apart = {tokenize.ENCODING, tokenize.COMMENT, tokenize.NL}
    with path.open("rb") as file:
        first = next(each for each in tokenize.tokenize(file.readline) if each.type not in apart)
    return first.type == tokenize.STRING and bool(ast.literal_eval(first.string).strip())


def room(module):
    return module.partition(".")[0]


def may_import(importer, module):
    """Whether the module is outside, in the same room, or in a room of a lower layer."""
    layer, theirs = LAYERS[room(importer)], LAYERS.get(room(module), -1)
    return room(importer) == room(module) or theirs < layer


def test_imports_run_down_from_room_to_room():
    upward = [
        f"{one} → {other}"
        for one, all_of_it in imports().items()
        for other in all_of_it
        if not may_import(one, other)
    ]
    assert sorted(upward) == []


def test_the_product_imports_nothing_of_tools_benchmarks_and_tests():
    apart = {"tools", "bench", "tests"}
    assert [
        f"{one} → {other}"
        for one, all_of_it in imports().items()
        for other in all_of_it
        if room(other) in apart
    ] == []


def of_a_vehicle(path):
    return any(path == ROOT / part or ROOT / part in path.parents for part in PARTS)


def imported_when_loaded(path):
    """What a module imports outside of functions and `if TYPE_CHECKING`, and the packages of that."""
    top = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if not isinstance(node, ast.If)]
    found = set()
    for node in top:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in PRODUCT else node.module for name in names}
    return {name for name in found if name in PRODUCT}


def test_what_a_vehicle_has_imports_nothing_that_it_has_not():
    """Its distribution lists the modules: `parts` in `distributions/tidesync-pi/pyproject.toml`."""
    missing = [
        f"{module} → {other}"
        for module, path in PRODUCT.items()
        if of_a_vehicle(path) and module not in WITH_THE_SURFACE
        for other in imported_when_loaded(path)
        if not of_a_vehicle(PRODUCT[other]) or other in WITH_THE_SURFACE
    ]
    assert sorted(missing) == []


def test_both_distributions_list_the_same_modules():
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    excluded = document["tool"]["hatch"]["build"]["exclude"]
    rooms = {"schemas", "runtime", "broker", "pi_agent"}
    assert {part.removeprefix("/") for part in excluded} == {*PARTS} - rooms


def test_no_modules_import_each_other_in_a_circle():
    within = {
        module: {other for other in all_of_it if other in PRODUCT and other != module}
        for module, all_of_it in imports().items()
    }
    try:
        TopologicalSorter(within).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


@pytest.mark.parametrize("folder", [*LAYERS, "tools", "bench"])
def test_no_module_is_longer_than_300_lines(folder):
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in files(folder)
    }
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


@pytest.mark.parametrize("folder", [*LAYERS, "tools", "bench", "tests"])
def test_every_file_opens_with_a_docstring(folder):
    without = [str(path.relative_to(ROOT)) for path in files(folder) if not opens_with_docstring(path)]
    assert without == []


@pytest.mark.parametrize("package", LAYERS)
def test_every_package_is_marked_as_typed(package):
    assert (ROOT / package / "py.typed").is_file()


def test_what_the_tests_begin_with_is_there():
    assert [unit for unit in LONG if not (ROOT / unit).exists()] == []
