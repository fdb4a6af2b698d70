"""A network that can be told to lose something: a TCP proxy on a loopback port of its own.

It forwards bytes as they are. Once told to lose an `answer`, it lets the next call through to the server, waits for the server to answer it, and closes
the connection instead of handing the answer on; told to lose a `request`, it closes the connection before the server has seen anything of the
next call. The client can't tell one from the other, nor from a cable that was pulled.

In HTTP/2 it looks at the frames: what belongs to no call (settings, pings, windows) is forwarded and loses nothing.
"""

import socket
import threading

HEADERS = 1
FRAME_HEADER = 9
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Proxy:
    """Forwards connections to a port on this machine."""

    def __init__(self, port):
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.lost = []
        self._next = None
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, what):
        """Loses the `request` or the `answer` of the next call."""
        with self._lock:
            self._next = what

    def close(self):
        """Takes no more connections."""
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server_port))
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for what, source, sink in (("request", client, server), ("answer", server, client)):
                threading.Thread(target=self._forward, args=(what, source, sink), daemon=True).start()

    def _forward(self, what, source, sink):
        calls = Calls()
        try:
            while data := source.recv(65536):
                begins = calls.begin_in(data)
                if begins and self._is_to_be_lost(what):
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _is_to_be_lost(self, what):
        with self._lock:
            if self._next != what:
                return False
            self._next = None
            self.lost.append(what)
            return True


class Calls:
    """Finds where calls, or answers to them, begin in what one side sends."""

    def __init__(self):
        self._is_http1 = None
        self._skip = 0
        self._head = b""

    def begin_in(self, data):
        """Whether one begins in these bytes."""
        if self._is_http1 is None:
            self._is_http1 = data.startswith((b"POST", b"GET", b"HTTP/1"))
            self._skip = len(PREFACE) if data.startswith(PREFACE[:4]) else 0
        return self._is_http1 or HEADERS in self._frames(data)

    def _frames(self, data):
        types = []
        while data:
            if self._skip:
                skipped = min(self._skip, len(data))
                self._skip -= skipped
                data = data[skipped:]
                continue
            missing = FRAME_HEADER - len(self._head)
            self._head, data = self._head + data[:missing], data[missing:]
            if len(self._head) == FRAME_HEADER:
                types.append(self._head[3])
                self._skip = int.from_bytes(self._head[:3], "big")
                self._head = b""
        return types
