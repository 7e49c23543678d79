"""A page in a real browser, driven by the WebDriver protocol (W3C), which is JSON over HTTP."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dimecli import api
from dimecli.registry import make

pytestmark = pytest.mark.slow

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OVERFLOW = "return document.documentElement.scrollWidth - window.innerWidth"
BROKEN = "return Array.from(document.images).filter(image => !image.naturalWidth).length"
FETCHED = (
    "return performance.getEntriesByType('resource').map(entry => entry.name).filter(name => !name.startsWith('data:'))"
)
BACKGROUND = "return getComputedStyle(document.body).backgroundColor"

Command = Callable[..., Any]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Command]:
    """Sends a command to a browser that reaches no network: `browser("POST", "/url", url="file:///...")`."""
    if BROWSER is None or DRIVER is None:
        pytest.skip("needs chromium (or google-chrome) and chromedriver on the PATH")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def send(method: str, path: str, **body: Any) -> Any:
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    with subprocess.Popen([DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
        try:
            _wait(lambda: send("GET", "/status")["ready"])
            flags = [*FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
            options = {
                "goog:chromeOptions": {"binary": BROWSER, "args": flags},
                "goog:loggingPrefs": {"browser": "ALL"},
            }
            session = send("POST", "/session", capabilities={"alwaysMatch": options})["sessionId"]
            yield lambda method, path, **body: send(method, f"/session/{session}{path}", **body)
            send("DELETE", f"/session/{session}")
        finally:
            driver.terminate()


def _wait(ready: Callable[[], bool]) -> None:
    for _ in range(300):
        try:
            if ready():
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("chromedriver does not start")


def test_pages_render_on_a_desk_and_on_a_phone(browser: Command, tmp_path: Path) -> None:
    network = make("network", "mlp", widths=(16,))
    runs = [api.train(name, "digits", network, runs=tmp_path / "runs", epochs=2) for name in ("ae", "vae", "dime")]
    for run in runs:
        api.evaluate(run, ["norms"], n=50)
    for page in (api.report(runs[:1]).file, api.report(runs, tmp_path / "all.html").file):
        for width, scheme, background in ((1280, "light", "rgb(255, 255, 255)"), (390, "dark", "rgb(20, 24, 29)")):
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
            colours = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            browser("POST", "/goog/cdp/execute", cmd="Emulation.setDeviceMetricsOverride", params=size)
            browser("POST", "/goog/cdp/execute", cmd="Emulation.setEmulatedMedia", params=colours)
            browser("POST", "/url", url=page.as_uri())
            assert browser("POST", "/execute/sync", script="return window.innerWidth", args=[]) == width
            assert browser("POST", "/execute/sync", script=OVERFLOW, args=[]) <= 0
            assert browser("POST", "/execute/sync", script=BROKEN, args=[]) == 0
            assert browser("POST", "/execute/sync", script=FETCHED, args=[]) == []
            assert browser("POST", "/execute/sync", script=BACKGROUND, args=[]) == background
            assert browser("POST", "/se/log", type="browser") == []
