"""A program for the supervisor's tests: an HTTP server that can be told to misbehave."""

from __future__ import annotations

import argparse
import signal
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar


class Handler(BaseHTTPRequestHandler):
    ready_at: ClassVar[float] = 0.0
    asked: ClassVar[int] = 0

    def do_GET(self) -> None:
        if self.path == "/ready":
            Handler.asked += 1
            self._answer(200 if time.monotonic() >= Handler.ready_at else 503, "")
        else:
            self._answer(200, str(Handler.asked))

    def do_POST(self) -> None:
        Handler.ready_at = float("inf")
        self._answer(200, "")

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, code: int, text: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--ready-after", type=float, default=0.0)
    parser.add_argument("--ignore-sigterm", action="store_true")
    options = parser.parse_args()
    Handler.ready_at = time.monotonic() + options.ready_after
    if options.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ThreadingHTTPServer(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
