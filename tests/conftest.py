"""What several tests need: a file server on this machine that breaks off and continues downloads as it is told; scripts as modules;
boards recomputed from the raw lines; a browser."""

import functools
import importlib.util
import os
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # one of several: before torch is imported, here and in what tests start
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_sessionstart():
    """The committed records are a zip file; tests read the folder."""
    from bench.records.archive import unpacked

    unpacked(Path(__file__).parent.parent / "results" / "fashion-mnist-standard")


BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)


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


@pytest.fixture
def forget_files(monkeypatch):
    """Forgets the files that were run by their path, so that the next command reads them as a process of its own would."""

    def forget():
        for name in [name for name in sys.modules if name.startswith("purebench_file_")]:
            monkeypatch.delitem(sys.modules, name)

    return forget


@pytest.fixture(scope="session")
def recomputed_once(tmp_path_factory):
    """Gives the next fixture's value by its name, computed once a process."""
    from recomputed_boards import REQUIRED, boards_of
    from records_of_every_kind import every_way

    @functools.cache
    def computed(name):
        if name == "reference":
            results = Path(__file__).parent.parent / "results" / "fashion-mnist-standard"
            asked = {"required": ("full gradient",), "against": "dpsam"}
            return results, asked, boards_of(results, **asked), boards_of(results)
        results = tmp_path_factory.mktemp("synthetic")
        every_way(results)
        boards = boards_of(results)
        return results, {"required": REQUIRED, "against": None}, boards, boards

    return computed


@pytest.fixture(scope="session", params=["synthetic", "reference"])
def recomputed(request, recomputed_once):
    """A folder of records, what is asked of its boards, these boards as other code computes them, and those that papers take."""
    return recomputed_once(request.param)


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window."""
    if BROWSER is None:
        pytest.skip("needs Chromium (apt install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as session:
        started = session.chromium.launch(
            executable_path=BROWSER,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
        )
        yield started
        started.close()


@pytest.fixture(autouse=True)
def tracing():
    """Fails a test that leaves the trace function changed, as foreign code does: coverage would end there."""
    before = sys.gettrace()
    yield
    assert sys.gettrace() is before, (
        "expected the trace function as it was; wrap foreign code in attacks.wrapped.global_seed"
    )
