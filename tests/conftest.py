"""What several tests need: a file server on this machine that breaks off and continues downloads as it is told; scripts as modules."""

import importlib.util
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class FileHandler(BaseHTTPRequestHandler):
    """Serves the server's `folder`; `limit` cuts each answer, `continues` says whether ranges are understood."""

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        file = self.server.folder / self.path.lstrip("/")
        if not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        start = int(wanted[6:-1]) if wanted and self.server.continues else 0
        if wanted and self.server.continues and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][: self.server.limit])

    def log_message(self, *_):
        pass


@pytest.fixture
def file_server(tmp_path):
    """A server of the folder `server`, at `url`, that keeps the ranges it was asked for in `asked`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), FileHandler)
    server.folder, server.limit, server.continues, server.asked = tmp_path / "server", None, True, []
    server.folder.mkdir()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def faults():
    """Gives a script of `tests/faults` as a module, by its name."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f"faults_{name}", Path(__file__).parent / "faults" / f"{name}.py")
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
