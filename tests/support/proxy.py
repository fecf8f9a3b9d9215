"""A proxy to a broker that stalls, cuts connections or loses packets, as Wi-Fi may."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator


class Proxy:
    """Forwards TCP connections to a port of this machine, with faults on demand."""

    def __init__(self, target: int, *, lost: float = 0.0, seed: int = 1) -> None:
        """`lost`: fraction of MQTT packets, in both directions, that never arrive."""
        self.lost, self.passed, self.dropped = lost, 0, 0
        self.stalled = False
        self._target, self._chance = target, random.Random(seed)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._over = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection at once."""
        while self._sockets:
            connection = self._sockets.pop()
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def close(self) -> None:
        self._over = True
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while not self._over:
            try:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:  # closed, or the broker is away
                time.sleep(0.01)
                continue
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for packet in packets(source):
                while self.stalled and not self._over:
                    time.sleep(0.01)
                if self._chance.random() < self.lost:
                    self.dropped += 1
                    continue
                self.passed += 1
                sink.sendall(packet)
        for connection in (source, sink):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def packets(source: socket.socket) -> Iterator[bytes]:
    """Yield the MQTT packets of a stream: a type, a length of 1 to 4 bytes, that many bytes."""
    stream = source.makefile("rb")
    while head := stream.read(1):
        length = shift = 0
        while byte := stream.read(1):  # none if the link ends within a packet
            head += byte
            length |= (byte[0] & 0x7F) << shift
            shift += 7
            if byte[0] < 0x80:
                break
        yield head + stream.read(length)
