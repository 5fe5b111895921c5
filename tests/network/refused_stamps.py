"""A program that runs `tidesync …` where the system refuses the kernel's stamps, as a seccomp profile may."""

WITHOUT_STAMPS = (
    "-c",
    """
import ctypes, platform, struct
number = {"x86_64": 54, "aarch64": 208}[platform.machine()]
steps = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 32), (0x15, 0, 1, 37), (0x06, 0, 0, 0x00050001),
         (0x06, 0, 0, 0x7FFF0000)]  # setsockopt with optname 37: EPERM
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
libc = ctypes.CDLL(None, use_errno=True)
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()
from tidesync.command_line import main
main()
""",
)
