"""Today's readers behind the shape of a StampForm."""

import numpy as np

from tidesync.sessions.correction.stamps import StampReader, StampWriter, stamp_arrays
from typing import NamedTuple, Any


class Found(NamedTuple):
    unix_ns: Any
    readable: Any


class Form:
    def __init__(self, reader):
        self.reader = reader
        self.resolution_ns = 0
        self.writer = None

    @property
    def step_ns(self):
        return self.reader.form.step_ns if self.reader.form else 0

    def read(self, texts):
        return Found(*stamp_arrays([self.reader.read(text.decode("utf-8", "replace")) for text in texts]))

    def read_block(self, buffer, starts, ends):
        data = buffer.tobytes()
        return self.read([data[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)])

    def write(self, unix_ns):
        self.writer = self.writer or StampWriter(self.reader.form)
        return [self.writer.write(each).encode() for each in unix_ns.tolist()]


def survey(texts, job, near_ns):
    reader = StampReader(job.unit, near_ns)
    for text in texts:
        reader.read(text.decode("utf-8", "replace"))
    return Form(reader)
