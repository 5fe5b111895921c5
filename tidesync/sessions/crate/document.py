"""`ro-crate-metadata.json`, written: RO-Crate 1.1 with the profile Process Run Crate 0.5, JSON-LD.

Each correction is a CreateAction. What is not known, as who did it, is left out.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from tidesync.sessions.correction.walk import CRATE_METADATA
from tidesync.sessions.crate.paths import id_of
from tidesync.sessions.crate.properties import properties_of
from tidesync.sessions.crate.software import PRODUCT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidesync.sessions.crate.contents import Action, Contents

METADATA = CRATE_METADATA
PINS = "requirements.txt"
PROFILE = "https://w3id.org/ro/wfrun/process/"
SOFTWARE_ID = "#tidesync"
CODE_NAME = "sha256 of the source code"

Entity = dict[str, Any]

_CRATE = "https://w3id.org/ro/crate/1.1"
_CONTEXT = [f"{_CRATE}/context", "https://w3id.org/ro/terms/workflow-run/context"]
_VERSION = "0.5"
_NO_LICENSE = "No license is stated"
_URL = re.compile(r"https?://\S+")
_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".gz": "application/gzip",
    ".html": "text/html",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".nc": "application/x-netcdf",
    ".nmea": "text/plain",
    ".parquet": "application/vnd.apache.parquet",
    ".toml": "application/toml",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".wav": "audio/wav",
    ".xz": "application/x-xz",
    ".zst": "application/zstd",
}
"""Media types, of what has one of its own."""


def rendered(contents: Contents, *, name: str, published: str, license_text: str | None) -> bytes:
    """The metadata of a crate; `published`: when it was made, as ISO 8601."""
    terms = license_text or _NO_LICENSE
    graph = [
        _descriptor(),
        _root(contents, name, published, terms),
        *_license(terms),
        {
            "@id": PROFILE + _VERSION,
            "@type": "CreativeWork",
            "name": "Process Run Crate",
            "version": _VERSION,
        },
        *_software(contents),
        *(entity for number, action in enumerate(contents.actions, 1) for entity in _action(number, action)),
        *_files(contents),
    ]
    document = {"@context": _CONTEXT, "@graph": graph}
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def software_id(name: str) -> str:
    """The `@id` of software."""
    return SOFTWARE_ID if name == PRODUCT else f"#software-{name.lower()}"


def _descriptor() -> Entity:
    return {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": _CRATE},
        "about": {"@id": "./"},
    }


def _root(contents: Contents, name: str, published: str, license_text: str) -> Entity:
    return {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": {"@id": PROFILE + _VERSION},
        "name": name,
        "description": (
            "What was recorded in a session, the same with times of the surface computer's clock and their "
            "errors, and with which settings and software; `tidesync reproduce` makes it again. Raw files: "
            f"{len(contents.files) - len(contents.results) - 1}, results: {len(contents.results)}."
        ),
        "datePublished": published,
        "hasPart": _references(map(id_of, contents.files)),
        "mentions": _references(f"#correction-{number}" for number in range(1, len(contents.actions) + 1)),
        "license": {"@id": license_text} if _URL.fullmatch(license_text) else license_text,
    }


def _license(text: str) -> list[Entity]:
    if not _URL.fullmatch(text):
        return []
    about = "The license of this dataset"
    return [{"@id": text, "@type": "CreativeWork", "name": text, "description": about}]


def _software(contents: Contents) -> Iterable[Entity]:
    others = [name for name in contents.versions if name != PRODUCT]
    code = {"@id": "#code", "@type": "PropertyValue", "name": CODE_NAME, "value": contents.code_sha256}
    for name, version in contents.versions.items():
        entity: Entity = {
            "@id": software_id(name),
            "@type": "SoftwareApplication",
            "name": name,
            "softwareVersion": version,
        }
        if name == PRODUCT:
            entity |= {
                "description": "Puts a vehicle's timestamps on a surface computer's clock, with errors.",
                "identifier": {"@id": code["@id"]},
                "softwareRequirements": _references((*map(software_id, others), id_of(PINS))),
            }
        yield entity
    yield code


def _action(number: int, action: Action) -> Iterable[Entity]:
    identifier = f"#correction-{number}"
    stated = [
        {"@id": f"{identifier}-setting-{place}", "@type": "PropertyValue", "name": name, "value": value}
        for place, (name, value) in enumerate(properties_of(action.session, action.run), 1)
    ]
    yield {
        "@id": identifier,
        "@type": "CreateAction",
        "name": f"Correction of the timestamps of {action.session}",
        "description": command_of(action),
        "startTime": action.started,
        "endTime": action.ended,
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "instrument": {"@id": SOFTWARE_ID},
        "object": _references((*map(id_of, action.objects), *(each["@id"] for each in stated))),
        "result": _references(map(id_of, action.results)),
    }
    yield from stated


def command_of(action: Action) -> str:
    """The command that does the same, for readers; settings of single tables stand behind it."""
    words, of_tables = ["tidesync", "correct", action.session], []
    for name, value in properties_of(action.session, action.run):
        if name.startswith("correct."):
            of_tables.append(f"{name} = {json.dumps(value, ensure_ascii=False)}")
        elif value is True:
            words.append(f"--{name.replace('_', '-')}")
        elif name not in {"session", "table"} and value is not False:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return "; ".join([shlex.join(words), *of_tables])


def _files(contents: Contents) -> Iterable[Entity]:
    for path, found in contents.files.items():
        yield {
            "@id": id_of(path),
            "@type": "File",
            "name": PurePosixPath(path).name,
            "contentSize": str(found.size),
            "sha256": found.sha256,
            "encodingFormat": _TYPES.get(PurePosixPath(path).suffix.lower(), "application/octet-stream"),
        }


def _references(identifiers: Iterable[str]) -> Entity | list[Entity]:
    """References to entities; one alone is no list, as RO-Crate 1.1 recommends."""
    listed: list[Entity] = [{"@id": each} for each in identifiers]
    return listed[0] if len(listed) == 1 else listed
