"""Classes that others generate from the published contract, with the generators' own defaults."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from datamodel_code_generator import Formatter, GenerateConfig, InputFileType, generate
from datamodel_code_generator.enums import DataModelType
from pydantic import ValidationError

from schemas import topics
from tests.published import PUBLISHED
from tests.unit import contracts
from tools.contract.json_schema import message_name
from tools.contract.named_parts import name_parts, pascal

pytestmark = pytest.mark.slow

ASYNCAPI = PUBLISHED / "asyncapi.json"
DOCUMENTS = {path.name: InputFileType.JsonSchema for path in PUBLISHED.glob("*.schema.json")} | {
    "asyncapi.json": InputFileType.AsyncAPI,
    "dashboard.openapi.json": InputFileType.OpenAPI,
    "vehicle.openapi.json": InputFileType.OpenAPI,
}
NUMBERED = re.compile(r"\d$|\d(Enum|Model)$|^(Schema|Model|Field)|Anonymous|Model$")
"""What generators call a class that has no name of its own, or shares it."""
MEANT = {"DriftModel"}

PACKAGES = Path(__file__).parents[1] / "node_modules"
COMPILER = PACKAGES / "typescript" / "bin" / "tsc"
GENERATOR = PACKAGES / "json-schema-to-typescript"
NODE = shutil.which("node")


def python_of(name, folder):
    """The module of classes that is generated from a document."""
    path = folder / f"generated_{re.sub(r'[^a-z]', '_', name)}.py"
    config = GenerateConfig(
        input_file_type=DOCUMENTS[name],
        output=path,
        output_model_type=DataModelType.PydanticV2BaseModel,
        formatters=[Formatter.BUILTIN],
    )
    generate(PUBLISHED / name, config=config)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    sys.modules[path.stem] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def classes(module):
    return {
        name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
    }


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    return python_of("asyncapi.json", tmp_path_factory.mktemp("models"))


def class_name(kind):
    title = json.loads((PUBLISHED / f"{message_name(kind).replace('_', '-')}.schema.json").read_text())[
        "title"
    ]
    return pascal(title)


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_every_class_in_python_has_a_name_of_its_own(name, tmp_path):
    made = classes(python_of(name, tmp_path))
    assert made
    assert [one for one in made - MEANT if NUMBERED.search(one)] == []


def test_every_message_has_its_class_and_a_batch_is_not_an_exchange(messages):
    assert {class_name(kind) for kind in topics.TOPICS} <= classes(messages)
    assert {"Exchange", "ExchangeBatch", "StartCommand", "StopCommand", "ResendCommand"} <= classes(messages)
    assert set(messages.Exchange.model_fields) & set(messages.ExchangeBatch.model_fields) == set()


@pytest.mark.parametrize("kind", [kind for kind in topics.TOPICS if kind.payload], ids=lambda kind: kind.name)
def test_a_message_that_a_generated_class_has_read_is_written_as_it_was(messages, kind):
    payload = json.loads(contracts.VALID[kind.name].encode())
    model = getattr(messages, class_name(kind))
    read = model.model_validate_json(json.dumps(payload))
    written = read.model_dump_json(by_alias=True, exclude_unset=True)
    assert json.loads(written).keys() == payload.keys()
    assert kind.decode(written.encode()) == contracts.VALID[kind.name]
    with pytest.raises(ValidationError):
        model.model_validate_json("{}")


def test_two_parts_of_one_name_are_refused():
    part = {"enum": ["on", "off"]}
    root = {"Lamp": {"properties": {"state": dict(part)}}}
    with pytest.raises(ValueError, match="LampState"):
        name_parts({"LampState": dict(part)}, "#/$defs/", root)


@pytest.mark.skipif(
    NODE is None or not GENERATOR.exists() or not COMPILER.exists(),
    reason="node or its packages are not installed (npm)",
)
def test_the_types_in_typescript_compile_and_have_names_of_their_own(tmp_path):
    names = sorted(path.name for path in PUBLISHED.glob("*.schema.json"))
    program = (
        f"const {{ compileFromFile }} = require({json.dumps(str(GENERATOR))});"
        f"for (const name of {json.dumps(names)})"
        f"  compileFromFile({json.dumps(str(PUBLISHED))} + '/' + name).then("
        f"    (made) => require('fs').writeFileSync(name.replace('.schema.json', '.ts'), made));"
    )
    subprocess.run([NODE, "--eval", program], cwd=tmp_path, check=True, timeout=120)
    made = sorted(tmp_path.glob("*.ts"))
    assert len(made) == len(names)
    checked = subprocess.run(
        [NODE, COMPILER, "--strict", "--noEmit", *made],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
    found = re.findall(r"^export (?:interface|type) (\w+)", "".join(map(Path.read_text, made)), re.MULTILINE)
    assert {"Exchange", "ExchangeBatch", "ExchangeLine", "SessionCommand", "SyncMetadata"} <= set(found)
    assert [one for one in set(found) - MEANT if NUMBERED.search(one)] == []
