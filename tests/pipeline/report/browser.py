"""A headless Chromium, spoken to over its own DevTools protocol. One page a browser."""

import contextlib
import functools
import importlib.util
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import websocket

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
OPERATED = frozenset(
    ("button", "checkbox", "combobox", "image", "img", "link", "listbox", "progressbar", "radio", "searchbox", "slider",
     "spinbutton", "switch", "textbox")
)  # fmt: skip
START_SECONDS = 90.0
WAIT_SECONDS = 90.0


@functools.cache
def read_axe():
    """The script of axe-core, which axe-playwright-python carries; nothing else of that package is used."""
    spec = importlib.util.find_spec("axe_playwright_python")
    assert spec, "axe-playwright-python is not installed: make setup"
    return Path(spec.origin).with_name("axe.min.js").read_text(encoding="utf-8")


class Page:
    """One tab: commands, what it said on its console, and the requests that it made."""

    def __init__(self, address):
        self._socket = websocket.create_connection(address, timeout=WAIT_SECONDS, suppress_origin=True)
        self._number = 0
        self.events = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        return self._ask(method, parameters)

    def _ask(self, method, parameters, session=None):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def run(self, script):
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_in_frame(self, script):
        """The same in the page's only frame, which has an origin, and so a process, of its own."""
        self.call("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=False, flatten=True)
        self.wait("true")  # what was attached to is told before the next answer
        attached = [e["params"] for e in self.events if e["method"] == "Target.attachedToTarget"]
        (session,) = (each["sessionId"] for each in attached if each["targetInfo"]["type"] == "iframe")
        end = time.monotonic() + WAIT_SECONDS
        while not self._ask("Runtime.evaluate", {"expression": script}, session)["result"].get("value"):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.1)
        self.call("Target.setAutoAttach", autoAttach=False, waitForDebuggerOnStart=False, flatten=True)

    def wait(self, script):
        end = time.monotonic() + WAIT_SECONDS
        while not self.run(script):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.1)

    def open(self, path, width=1280, height=900):
        self.open_url(path.as_uri(), width, height)

    def open_url(self, url, width=1280, height=900):
        self.resize(width, height)
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def choose_theme(self, theme):
        """What the system prefers: `light` or `dark`."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def find_faint_texts(self, least=4.5):
        """Texts of too little contrast: ratio, text, element."""
        return self.run(f"({CONTRAST})({least})")

    def list_nameless(self):
        """Roles of what can be operated and has no name for a screen reader, and of images without one."""
        self.call("Accessibility.enable")
        tree = self.call("Accessibility.getFullAXTree")["nodes"]
        shown = [node for node in tree if not node.get("ignored")]
        roles = [(node["role"]["value"], node.get("name", {}).get("value", "").strip()) for node in shown]
        return [role for role, name in roles if role in OPERATED and not name]

    def find_violations(self):
        """What axe-core finds on the page as it is shown: rule, element, what is wrong. Frames are not entered."""
        if not self.run("'axe' in window"):
            self.run(f"{read_axe()}; 0")
        found = self.run(
            "axe.run(document, { resultTypes: ['violations'], iframes: false }).then((found) => found.violations"
            ".flatMap((rule) => rule.nodes.map((node) => [rule.id, node.html.slice(0, 200), node.failureSummary])))"
        )
        return list(map(tuple, found))

    def resize(self, width, height):
        """Gives the page that is open another size."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def press(self, key, text="", code=0):
        """A key, as a person presses it."""
        for kind in ("keyDown", *(("char",) if text else ()), "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, text=text, windowsVirtualKeyCode=code)

    def click(self, script):
        """A real click in the middle of the element that the expression gives."""
        box = self.run(
            f"(() => {{ const e = {script}; e.scrollIntoView({{block: 'center', behavior: 'instant'}}); "
            "const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def troubles(self):
        """Errors on the console, and exceptions."""
        bad = [e for e in self.events if e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]
        return bad + [
            e for e in self.events if e["method"] == "Runtime.consoleAPICalled" and e["params"]["type"] == "error"
        ]

    def requests(self):
        """Everything that was asked for but the page's own parts."""
        asked = (e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent")
        return [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]


@contextlib.contextmanager
def chromium():
    """A page in a browser of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder}", f"--remote-debugging-port={port}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield Page(_address(port))
        finally:
            process.terminate()
            process.wait(30)


def _address(port):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=5) as answer:
            pages = [each for each in json.load(answer) if each["type"] == "page"]
            if pages:
                return pages[0]["webSocketDebuggerUrl"]
        time.sleep(0.2)
    raise TimeoutError(f"chromium did not answer within {START_SECONDS:g} s")
