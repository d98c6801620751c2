"""A web server for one page, and a headless browser that opens it. The page posts what it saw."""

from __future__ import annotations

import http.server
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")

#: How long a page may take for everything.
PATIENCE_S = 90.0

_PAGE = b'<!doctype html><meta charset="utf-8"><title>interop</title><script type="module" src="/page.js"></script>'


def browser() -> str | None:
    """The program, if there is one here."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class Pages:
    """The server. Its origin is that of its pages.

    Args:
        script: the program of the page.
    """

    def __init__(self, script: Path) -> None:
        self._results: queue.Queue[str] = queue.Queue()
        results, text = self._results, script.read_bytes()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                is_script = self.path == "/page.js"
                self._answer(text if is_script else _PAGE, "text/javascript" if is_script else "text/html")

            def do_POST(self) -> None:
                results.put(self.rfile.read(int(self.headers["content-length"])).decode())
                self._answer(b"", "text/plain")

            def _answer(self, body: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serves in a thread."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def opened(self, program: str, query: str, profile: Path) -> str:
        """What the page posted, opened in a browser."""
        log = profile.with_suffix(".log")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        # With a port for debugging it stays until it is ended; else it ends when the page is loaded.
        command = [
            program,
            *flags,
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            f"{self.origin}/?{query}",
        ]
        with log.open("wb") as out:
            # The program may be a script around the browser: what is ended is the group of both.
            process = subprocess.Popen(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
            )
        try:
            return self._results.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise AssertionError(f"the page posted nothing; the browser said: {log.read_text()}") from None
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
