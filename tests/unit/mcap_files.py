"""MCAP files with a known truth, and their messages read back with the mcap library."""

import json

import numpy as np
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer

from tests.unit.tracks import START, S

TOPIC = "/tidesync/error"


def write_mcap(path, clock, *, seconds=120, rate=20, compression="ZSTD", late_ns=2_000_000, **options):
    """Three channels of messages, numbered in their payload; topside's ns of each (log, publish)."""
    chance = np.random.default_rng(3)
    with path.open("wb") as stream:
        writer = Writer(
            stream, **{"chunk_size": 10_000, "compression": CompressionType[compression], **options}
        )
        writer.start(profile="ros2", library="a recorder")
        schema = writer.register_schema("x/Imu", "ros2msg", b"float64 x")
        channels = [writer.register_channel(f"/imu{each}", "cdr", schema, {"a": "b"}) for each in range(3)]
        writer.add_attachment(START, START, "cal.txt", "text/plain", b"calibration" * 50)
        writer.add_metadata("mission", {"name": "reef"})
        truth = []
        for number in range(seconds * rate):
            at_ns = START + number * S // rate + int(chance.integers(1_000_000))
            if clock.off((at_ns - START) / S):
                continue
            published_ns = at_ns - (int(chance.integers(late_ns)) if late_ns else 0)
            payload = len(truth).to_bytes(8, "little") + chance.bytes(50)
            times = {"log_time": int(clock.shows(at_ns)), "publish_time": int(clock.shows(published_ns))}
            writer.add_message(channels[number % 3], data=payload, sequence=number, **times)
            truth.append((at_ns, published_ns))
        writer.finish()
    return truth


def number_of(message):
    return int.from_bytes(message.data[:8], "little")


def read_mcap(path):
    """(channel, message) of each but the errors', and each error by channel, sequence and log time."""
    messages, errors = [], {}
    with path.open("rb") as stream:
        for _, channel, message in make_reader(stream, validate_crcs=True).iter_messages(
            log_time_order=False
        ):
            if channel.topic != TOPIC:
                messages.append((channel, message))
                continue
            found = json.loads(message.data)
            several = found["publish_max_error_ns"] or found["max_error_ns"]
            names = "channel_id", "sequence", "after_ns", "max_error_ns"
            for each, published in zip(
                zip(*(found[name] for name in names), strict=True), several, strict=True
            ):
                number, sequence, after_ns, error_ns = each
                errors[number, sequence, message.log_time + after_ns] = error_ns, published, found["state"]
    return messages, errors
