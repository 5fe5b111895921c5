"""A broker that asks for certificates, and a server that pretends to be ours with a bad one."""

import io
import socket
import ssl
import tarfile
import threading
from contextlib import suppress
from pathlib import Path

from tests.deadline import until
from tests.ports import free_port

CONFIGURATION = Path(__file__).parents[2] / "broker" / "mosquitto-tls.conf"
HOME = "/tmp"


class StrictBroker:
    """mosquitto in a container with our configuration, its lines for client certificates taken in."""

    def __init__(self, fleet):
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        authority = fleet.files("accounts", "/ca")["ca.crt"]
        self.container = fleet.engine.containers.create(
            "eclipse-mosquitto:2",
            ["mosquitto", "-c", f"{HOME}/strict.conf"],
            user="1883:1883",
            mem_limit="128m",
            labels={"com.docker.compose.project": fleet.project},
            ports={"8883/tcp": ("127.0.0.1", self.port)},
            volumes={f"{fleet.project}_broker-config": {"bind": "/mosquitto/config", "mode": "ro"}},
        )
        text = CONFIGURATION.read_text().replace("# cafile", "cafile")
        text = text.replace("# require_certificate", "require_certificate")
        text = text.replace("/mosquitto/config/certs/ca.crt", f"{HOME}/ca.crt")
        text = text.replace("persistence true", "persistence false")
        self.container.put_archive(HOME, _archive({"strict.conf": text.encode(), "ca.crt": authority}))

    def __enter__(self):
        self.container.start()
        until(self._listens, 20, lambda: f"the broker that asks for certificates ({self.container.logs()})")
        return self

    def __exit__(self, *_):
        self.container.remove(force=True)

    def _listens(self):
        """The engine's proxy accepts before the broker does: only a greeting shows that it is there."""
        with suppress(OSError), socket.create_connection(self.address, 1) as plain:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with context.wrap_socket(plain):
                return True
        return False


class Impostor:
    """A server with a certificate of its own; `received` is what a client sent it."""

    def __init__(self, certificate, key):
        self.received = b""
        self.greeted = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"mqtts://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _serve(self):
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.greeted += 1
            plain.settimeout(3)
            with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as secure:
                self.received += secure.recv(1000)


def _archive(files):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return held.getvalue()
