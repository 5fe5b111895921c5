"""Messages with several stamps each, in every encoding whose schema can prove them."""

import json
import struct

S = 1_000_000_000
LINE = "=" * 80 + "\nMSG: "
ROS2 = (
    "string child\nuint8[] data\nx/Part[] parts\nbuiltin_interfaces/Time[2] at\n"
    f"builtin_interfaces/Duration d\n{LINE}x/Part\nfloat64 x\nstd_msgs/Header header\nbool b\n"
    f"{LINE}std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n"
)
ROS1 = (
    "string child\nuint8[] data\nx/Part[] parts\ntime[2] at\nduration d\n"
    f"{LINE}x/Part\nfloat64 x\nHeader header\nbool b\n"
    f"{LINE}std_msgs/Header\nuint32 seq\ntime stamp\nstring frame_id\n"
)
IDL = """
module builtin_interfaces { module msg { struct Time { int32 sec; uint32 nanosec; };
  struct Duration { int32 sec; uint32 nanosec; }; }; };
module std_msgs { module msg { struct Header { builtin_interfaces::msg::Time stamp; string frame_id; }; }; };
module x { module msg { struct Part { double x; std_msgs::msg::Header header; boolean b; };
  typedef builtin_interfaces::msg::Time two[2];
  struct Whole { string child; sequence<uint8> data; sequence<x::msg::Part> parts; two at;
    builtin_interfaces::msg::Duration d; }; }; };
"""
TIME = {
    "type": "object",
    "title": "time",
    "properties": {"sec": {"type": "integer"}, "nsec": {"type": "integer"}},
}
JSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "timestamp": TIME,
        "lifetime": {**TIME, "title": "duration"},
        "parts": {"type": "array", "items": {"$ref": "#/definitions/part"}},
    },
    "definitions": {"part": {"type": "object", "properties": {"stamp": {**TIME, "title": "x"}}}},
}


class _Ros:
    """Writes a message and notes where its stamps are."""

    def __init__(self, *, cdr):
        self.data, self.cdr, self.places = bytearray(b"\x00\x01\x00\x00" if cdr else b""), cdr, []

    def put(self, form, *values):
        size = struct.calcsize("<" + form[0])
        self.data += bytes(-(len(self.data) - 4) % size if self.cdr else 0)
        self.data += struct.pack("<" + form, *values)

    def text(self, text):
        content = text.encode() + (b"\0" if self.cdr else b"")
        self.put("I", len(content))
        self.data += content

    def stamp(self, at_ns):
        self.data += bytes(-len(self.data) % 4 if self.cdr else 0)
        self.places.append(len(self.data))
        self.put("II", at_ns // S, at_ns % S)


def ros(stamps, number, *, cdr):
    """A message with the stamps, and their places in it; the last two are its own, the others its parts'."""
    made = _Ros(cdr=cdr)
    made.text("x" * (number % 7))
    made.put("I", number % 5)
    made.data += bytes(number % 5)
    made.put("I", len(stamps) - 2)
    for at_ns in stamps[:-2]:
        made.put("d", number)
        if not cdr:
            made.put("I", number)
        made.stamp(at_ns)
        made.text("map" * (number % 3))
        made.put("?", True)
    for at_ns in stamps[-2:]:
        made.stamp(at_ns)
    made.put("I", 7)
    made.put("I", 8)
    return bytes(made.data), made.places


def varint(value):
    made = b""
    while value > 127:
        made, value = made + bytes([value & 127 | 128]), value >> 7
    return made + bytes([value])


def of_bytes(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def of_int(number, value):
    return varint(number << 3) + varint(value)


def _field(name, number, kind, type_name="", label=1):
    made = of_bytes(1, name.encode()) + of_int(3, number) + of_int(4, label) + of_int(5, kind)
    return made + (of_bytes(6, type_name.encode()) if type_name else b"")


def _type(name, *fields, nested=()):
    made = of_bytes(1, name.encode()) + b"".join(of_bytes(2, each) for each in fields)
    return made + b"".join(of_bytes(3, each) for each in nested)


def descriptors():
    """A FileDescriptorSet: x.Whole, whose parts may have parts."""
    stamp = ".google.protobuf.Timestamp"
    part = _type("Part", _field("timestamp", 1, 11, stamp), _field("parts", 3, 11, ".x.Whole.Part", 3))
    whole = _type(
        "Whole",
        _field("timestamp", 1, 11, stamp),
        _field("data", 2, 12),
        _field("parts", 4, 11, ".x.Whole.Part", 3),
        _field("id", 5, 9),
        nested=[part],
    )
    timestamp = _type("Timestamp", _field("seconds", 1, 3), _field("nanos", 2, 5))
    files = (("google.protobuf", timestamp), ("x", whole))
    return b"".join(of_bytes(1, of_bytes(2, name.encode()) + of_bytes(4, each)) for name, each in files)


def _timestamp(at_ns):
    return of_int(1, at_ns // S) + (of_int(2, at_ns % S) if at_ns % S else b"")


def protobuf(stamps, number):
    """A message of x.Whole: the first stamp is its own, the second of a part, the others of parts of that."""
    inner = b"".join(of_bytes(3, of_bytes(1, _timestamp(each))) for each in stamps[2:])
    part = of_bytes(1, _timestamp(stamps[1])) + inner + of_int(9, number)
    made = of_bytes(2, bytes(number % 300)) + of_bytes(1, _timestamp(stamps[0])) + of_bytes(4, part)
    return made + of_bytes(5, b"id") + struct.pack("<Bd", 6 << 3 | 1, number)


def json_text(stamps, number, names=("sec", "nsec")):
    """A message of JSON: the first stamp is its own, the others of its parts."""

    def time(at_ns):
        return dict(zip(names, (at_ns // S, at_ns % S), strict=True))

    document = {
        "name": 'a "sec": 1 {' + "é" * (number % 3),
        "lifetime": {"sec": 5, "nsec": 7},
        "parts": [{"x": number, "stamp": time(each)} for each in stamps[1:]],
        "timestamp": time(stamps[0]),
        "z": [1.5, {"stamp": {"sec": 1, "nsec": 2}}, None],
    }
    return json.dumps(document, indent=number % 2 or None, ensure_ascii=False).encode()
