"""The pages of a root, without a socket and with one."""

import contextlib
import re
import threading
import time

import uvicorn
from starlette.testclient import TestClient

from taxiway.pipeline.ui.application import build_application
from taxiway.pipeline.ui.roots import name_roots

HOME = "http://127.0.0.1:8600"


def client(*roots, **settings):
    """A browser that asks the application as uvicorn would."""
    return TestClient(build_application(name_roots(roots), **settings), base_url=HOME, follow_redirects=False)


def form_of(page):
    """The hidden fields of the form on a page."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))


@contextlib.contextmanager
def server(*roots):
    """Address of a server in a thread."""
    config = uvicorn.Config(
        build_application(name_roots(roots)), port=0, log_level="warning", lifespan="off", ws="none"
    )
    made = uvicorn.Server(config)
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    while not made.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{made.servers[0].sockets[0].getsockname()[1]}"
    finally:
        made.should_exit = True
        thread.join(20)
