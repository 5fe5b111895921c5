"""A link to a broker that takes its time, and that is cut or falls silent when a test wants it."""

import queue
import socket
import threading
import time
from contextlib import contextmanager, suppress

SUBSCRIBE = 0x82


class SlowLink:
    """Forwards TCP to `port` of `host`, each direction `delay_s` late; `end` is `cut` or `freeze`.

    It ends at the `nth` SUBSCRIBE of a connection, which it keeps; never, when `nth` is 0. If that is to be
    `answered`, the SUBSCRIBE passes and what answers it, and nothing that is sent to the broker afterwards;
    `ANSWER_S` after the answer has begun the link ends.
    """

    ANSWER_S = 0.2

    def __init__(
        self,
        port,
        delay_s,
        *,
        nth=0,
        answered=False,
        end="cut",
        host="127.0.0.1",
        listen=("127.0.0.1", 0),
    ):
        self._broker, self._delay_s = (host, port), delay_s
        self._nth, self._answered, self._end = nth, answered, end
        self._asked, self._frozen, self._never = threading.Event(), threading.Event(), threading.Event()
        self._listener = socket.create_server(listen)
        self.url = f"mqtt://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()
        self._hang_up()

    def _accept(self):
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._broker)
                self._asked.clear()
                self._open += [near, far]
                for read, one, other in ((self._read, near, far), (self._read_back, far, near)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    late = queue.SimpleQueue()
                    threading.Thread(target=read, args=(one, late), daemon=True).start()
                    threading.Thread(target=self._write, args=(other, late), daemon=True).start()

    def _read(self, client, late):
        """What is sent to the broker, until the link's end is due."""
        subscribed = 0
        with suppress(OSError):
            while data := client.recv(65536):
                subscribed += _subscribes(data)
                if self._nth and subscribed >= self._nth:
                    if self._answered:
                        self._asked.set()  # before it goes on: its answer may come at once
                        late.put((time.monotonic() + self._delay_s, data))
                    else:
                        self._finish()
                    return
                late.put((time.monotonic() + self._delay_s, data))
        late.put((0.0, b""))

    def _read_back(self, broker, late):
        with suppress(OSError):
            while data := broker.recv(65536):
                late.put((time.monotonic() + self._delay_s, data))
                if self._asked.is_set():
                    self._asked.clear()
                    threading.Timer(self.ANSWER_S + self._delay_s, self._finish).start()
        late.put((0.0, b""))

    def _write(self, target, late):
        with suppress(OSError):
            while True:
                at_s, data = late.get()
                self._never.wait(max(0.0, at_s - time.monotonic()))
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                if not self._frozen.is_set():
                    target.sendall(data)

    def _finish(self):
        self._frozen.set() if self._end == "freeze" else self._hang_up()

    def _hang_up(self):
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()


def _subscribes(data):
    """How many of the packets in `data` are a SUBSCRIBE; a client's packets come whole here."""
    found, at = 0, 0
    while at < len(data):
        length, shift, place = 0, 0, at + 1
        while place < len(data):
            length |= (data[place] & 0x7F) << shift
            shift += 7
            place += 1
            if not data[place - 1] & 0x80:
                break
        found += data[at] == SUBSCRIBE
        at = place + length
    return found


@contextmanager
def slow_link(broker_url, delay_s, **options):
    link = SlowLink(int(broker_url.rpartition(":")[2]), delay_s, **options)
    try:
        yield link.url
    finally:
        link.close()
