"""Files that are written completely or not at all."""

import os
import sys

import pytest

from runtime import files
from runtime.files import PrivateFile, replace, replace_all, replacing, write_new

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and links of POSIX")


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "table.csv"
    made.write_bytes(b"old")
    made.chmod(0o640)
    return made


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_stream_replaces_the_file_and_keeps_its_mode(path):
    with replacing(path) as stream:
        stream.write(b"new ")
        assert path.read_bytes() == b"old"
        stream.write(b"content")
    assert (path.read_bytes(), mode(path), names(path.parent)) == (b"new content", 0o640, ["table.csv"])


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_exception_in_the_block_leaves_the_old_file(path, error):
    def write_half():
        with replacing(path) as stream:
            stream.write(b"half")
            raise error

    with pytest.raises(error):
        write_half()
    assert (path.read_bytes(), names(path.parent)) == (b"old", ["table.csv"])


def test_of_two_that_replace_a_file_at_once_the_later_one_does(path):
    def overtaken():
        with replacing(path) as first:
            first.write(b"first, all of it")
            with replacing(path) as second:
                second.write(b"second")

    with pytest.raises(OSError, match="another program began to write it"):
        overtaken()
    assert (path.read_bytes(), names(path.parent)) == (b"second", ["table.csv"])


def test_one_that_is_overtaken_leaves_the_file_of_the_other(path):
    first, second = replacing(path), replacing(path)
    first.__enter__()
    second.__enter__().write(b"second")
    with pytest.raises(OSError, match="another program began to write it"):
        first.__exit__(None, None, None)
    assert path.read_bytes() == b"old"
    second.__exit__(None, None, None)
    assert (path.read_bytes(), names(path.parent)) == (b"second", ["table.csv"])


def test_replace_keeps_the_mode_of_the_file(path):
    replace(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", 0o640)


def test_a_temporary_file_of_a_killed_process_does_not_matter(path, tmp_path):
    (tmp_path / ".table.csv.new").symlink_to(tmp_path / "elsewhere")
    replace(path, b"new")
    assert (path.read_bytes(), names(tmp_path)) == (b"new", ["table.csv"])


def test_several_files_are_replaced_together_or_not_at_all(path, tmp_path, monkeypatch):
    synced = []
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", lambda descriptor: synced.append(descriptor) or len(synced) < 2 or fail())
        with pytest.raises(OSError, match="full"):
            replace_all(tmp_path, {"table.csv": PrivateFile(b"new"), "b": PrivateFile(b"b")})
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["table.csv"])
    replace_all(tmp_path, {"table.csv": PrivateFile(b"new"), "b": PrivateFile(b"b", mode=0o644)})
    assert (path.read_bytes(), mode(path), mode(tmp_path / "b")) == (b"new", 0o600, 0o644)


def fail():
    raise OSError("full")


def test_a_new_file_must_not_exist_yet(path):
    with pytest.raises(FileExistsError):
        write_new(path, PrivateFile(b"new"))
    assert path.read_bytes() == b"old"


def test_a_file_that_another_program_has_open_is_replaced_once_it_is_closed(path, monkeypatch):
    monkeypatch.setattr(files, "_TRIES", 3)
    refusals = iter([PermissionError(13, "it is being used"), PermissionError(13, "it is being used")])
    rename = type(path).replace

    def replace_if_closed(new, target):
        if (refused := next(refusals, None)) is not None:
            raise refused
        return rename(new, target)

    monkeypatch.setattr(type(path), "replace", replace_if_closed)
    replace(path, b"new")
    assert (path.read_bytes(), names(path.parent)) == (b"new", ["table.csv"])


def test_a_file_that_stays_open_is_an_error_and_stays_as_it_was(path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "it is being used")

    monkeypatch.setattr(files, "_TRIES", 2)
    monkeypatch.setattr(type(path), "replace", refuse)
    with pytest.raises(PermissionError):
        replace(path, b"new")
    assert (path.read_bytes(), names(path.parent)) == (b"old", ["table.csv"])
