"""A way for datagrams that can be closed: what comes to its port goes on to another one, and back."""

import selectors
import socket
import threading


class UdpProxy:
    """In front of `port` on loopback; while `closed` it drops what comes, as a firewall does."""

    def __init__(self, port):
        self._target = ("127.0.0.1", port)
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self.port = self._front.getsockname()[1]
        self.closed = False
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
            for key, _ in selector.select(0.1):
                data, sender = key.fileobj.recvfrom(2048)
                if self.closed:
                    continue
                if key.data is not None:
                    self._front.sendto(data, key.data)
                    continue
                if sender not in self._backs:
                    back = self._backs[sender] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    selector.register(back, selectors.EVENT_READ, sender)
                self._backs[sender].sendto(data, self._target)
        for each in list(selector.get_map().values()):
            each.fileobj.close()
        selector.close()
