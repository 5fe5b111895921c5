"""A way for datagrams that can be closed, or bad: what comes to its port goes on to another one, and back."""

import random
import selectors
import socket
import threading
import time
from collections import Counter

LATE_S = (0.02, 0.2)
"""What is held back comes after others that were sent later."""


class UdpProxy:
    """In front of `port` on loopback; while `closed` it drops what comes, as a firewall does.

    Of all datagrams, in both directions, it loses the share `loss`, sends `doubled` twice, and holds `late`
    back. `counts` has what it did.
    """

    def __init__(self, port, *, loss=0.0, doubled=0.0, late=0.0, seed=1):
        self._target = ("127.0.0.1", port)
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self.port = self._front.getsockname()[1]
        self.closed = False
        self.counts = Counter()
        self._loss, self._doubled, self._late = loss, doubled, late
        self._chance = random.Random(seed)
        self._held = []
        self._backs = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()

    def stop(self):
        self._stopping.set()
        self._thread.join()

    def rebind(self):
        """Send from new ports from now on, as a NAT that has forgotten its table."""
        self._backs.clear()

    def _run(self):
        selector = selectors.DefaultSelector()
        selector.register(self._front, selectors.EVENT_READ, None)
        while not self._stopping.is_set():
            for key, _ in selector.select(0.01 if self._held else 0.1):
                data, sender = key.fileobj.recvfrom(2048)
                if self.closed:
                    self.counts["closed"] += 1
                elif key.data is not None:
                    self._pass(self._front, data, key.data)
                else:
                    if sender not in self._backs:
                        back = self._backs[sender] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                        selector.register(back, selectors.EVENT_READ, sender)
                    self._pass(self._backs[sender], data, self._target)
            self._release()
        for each in list(selector.get_map().values()):
            each.fileobj.close()
        selector.close()

    def _pass(self, by, data, to):
        self.counts["passed"] += 1
        if self._happens("lost", self._loss):
            return
        times = 1 + self._happens("doubled", self._doubled)
        for _ in range(times):
            if self._happens("late", self._late):
                self._held.append((time.monotonic() + self._chance.uniform(*LATE_S), by, data, to))
            else:
                by.sendto(data, to)

    def _happens(self, what, share):
        happens = self._chance.random() < share
        self.counts[what] += happens
        return happens

    def _release(self):
        now_s, held = time.monotonic(), self._held
        self._held = [one for one in held if one[0] > now_s]
        for due_s, by, data, to in held:
            if due_s <= now_s:
                by.sendto(data, to)
