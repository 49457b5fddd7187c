# SPDX-License-Identifier: GPL-2.0-or-later
"""A page as Chromium shows it, by its DevTools protocol over a pair of pipes: no port, no other library."""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

from .tap import wait_for

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def find():
    """The program, or None."""
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    return None


class Browser:
    """One page. Use as a context manager."""

    def __init__(self, path, bound=60):
        self._folder = tempfile.mkdtemp(prefix="spefw-browser.")
        self._bound = bound
        to_child, self._out = os.pipe()
        self._in, from_child = os.pipe()
        self._last, self._buffer = 0, b""
        self.events = []

        def place():
            # Where it wants them; what is there already must not be lost first.
            copies = [os.dup2(to_child, 30), os.dup2(from_child, 31)]
            for target, copy in zip((3, 4), copies):
                os.dup2(copy, target, inheritable=True)

        self._process = subprocess.Popen(  # pylint: disable=subprocess-popen-preexec-fn
            [path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--remote-debugging-pipe", "--user-data-dir=" + self._folder, "about:blank"],
            preexec_fn=place, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=dict(os.environ, HOME=self._folder))
        os.close(to_child)
        os.close(from_child)
        target = [one for one in self._call("Target.getTargets", None)["targetInfos"] if one["type"] == "page"][0]
        self._session = None
        self._session = self._call("Target.attachToTarget", None, targetId=target["targetId"],
                                   flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Audits", "Network"):
            self.call(domain + ".enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._out)
        self._process.kill()
        self._process.wait()
        os.close(self._in)

        def removed():
            # Its children live a moment longer, and write there.
            shutil.rmtree(self._folder, ignore_errors=True)
            return not os.path.exists(self._folder)
        wait_for(removed, "the browser's folder is removed")

    def _message(self, end):
        while b"\0" not in self._buffer:
            if not select.select([self._in], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            piece = os.read(self._in, 1 << 20)
            if not piece:
                raise ConnectionError("the browser has ended")
            self._buffer += piece
        text, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(text.decode())

    def _call(self, method, session, **parameters):
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data):]
        end = time.monotonic() + self._bound
        while True:
            reply = self._message(end)
            if reply.get("id") == self._last:
                if "error" in reply:
                    raise RuntimeError("%s: %s" % (method, reply["error"]))
                return reply["result"]
            self.events.append(reply)

    def call(self, method, **parameters):
        return self._call(method, self._session, **parameters)

    def evaluate(self, expression):
        """The value of a JavaScript expression in the page, or what it promises."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"]))
        return result["result"].get("value")

    def look(self, path, width, height=900, scheme="light", media="screen"):
        """Shows a file on a screen of that size."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", media=media,
                  features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url="file://" + os.path.abspath(path))
        end = time.monotonic() + self._bound
        while self.evaluate("document.readyState + ' ' + location.protocol") != "complete file:":
            if time.monotonic() > end:
                raise TimeoutError("the page is not loaded")
            time.sleep(0.02)

    def screenshot(self, path):
        """All of the page, as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                         clip={"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1})["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def pdf(self):
        return base64.b64decode(self.call("Page.printToPDF")["data"])
