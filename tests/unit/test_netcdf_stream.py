"""netCDF onto a stream: h5py reads back what it wrote, and a full disk is an OSError."""

import errno
import io
import os

import h5netcdf
import h5py
import numpy as np
import pytest

from tidesync.sessions import netcdf_stream
from tidesync.sessions.netcdf_stream import checked_on, netcdf_on

VALUES = np.arange(50_000) * 0.37


class FullDisk:
    """A disk that holds so many bytes."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def write(self, data):
        if self._file.tell() + len(data) > self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()


def fill(file):
    file.dimensions = {"time": VALUES.size}
    variable = file.create_variable("value", ("time",), "f8", chunks=(1_000,))
    variable[:] = VALUES
    variable.attrs["long_name"] = "a value"


def made():
    stream = io.BytesIO()
    with netcdf_on(stream) as (file, _):
        fill(file)
    return stream.getvalue()


def test_it_reads_back_from_a_path(tmp_path):
    (tmp_path / "x.nc").write_bytes(made())
    with h5netcdf.File(tmp_path / "x.nc", "r") as file:
        assert (file.variables["value"][...] == VALUES).all()
        assert file.variables["value"].attrs["long_name"] == "a value"
        assert file.dimensions["time"].size == VALUES.size


def test_a_copy_is_changed_and_its_original_is_not(tmp_path):
    original, stream = tmp_path / "x.nc", io.BytesIO()
    original.write_bytes(made())
    with checked_on(stream, original=original) as copy, h5py.File(copy, "r+") as file:
        assert (file["value"][...] == VALUES).all()
        file["value"][7] = -1
        file["more"] = VALUES
    with h5py.File(stream, "r") as file:
        assert file["value"][6:9].tolist() == [VALUES[6], -1, VALUES[8]]
        assert (file["more"][...] == VALUES).all()
    assert original.read_bytes() == made()


@pytest.mark.parametrize("room", [0, 1_000, 100_000, 390_000])
def test_a_full_disk_is_an_error_and_nothing_is_on_the_stream(room, tmp_path, monkeypatch):
    original, stream = tmp_path / "x.nc", io.BytesIO()
    original.write_bytes(made())
    make = netcdf_stream.TemporaryFile
    monkeypatch.setattr(netcdf_stream, "TemporaryFile", lambda **how: FullDisk(make(**how), room))
    with pytest.raises(OSError, match="No space left"), netcdf_on(stream) as (file, _):
        fill(file)
    with (
        pytest.raises(OSError, match="No space left"),
        checked_on(stream, original=original) as copy,
        h5py.File(copy, "r+") as file,
    ):
        file["more"] = VALUES
    assert stream.getvalue() == b""
