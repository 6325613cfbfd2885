"""A real browser (Debian's chromium, headless), asked what a page shows by its DevTools protocol."""

import asyncio
import base64
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

SECONDS = 60
"""Generous: a browser that starts on a busy machine."""
FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --no-proxy-server --remote-debugging-port=0
"""


class Browser:
    """One tab of a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.requests: list[str] = []
        """URLs that the page asked for."""
        self.complaints: list[str] = []
        """What the browser's console says: errors, exceptions, breaches of the page's policy."""

    async def read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            elif said["method"] == "Network.requestWillBeSent":
                self.requests.append(said["params"]["request"]["url"])
            elif said["method"] in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
                self.complaints.append(json.dumps(said["params"]))

    async def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        answer = await asyncio.wait_for(self._answers[number], SECONDS)
        assert "error" not in answer, answer
        return answer["result"]

    async def open(self, url: str) -> None:
        for domain in ("Page", "Network", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)

    async def value(self, script: str) -> Any:
        """What an expression of JavaScript is in the page; a promise is awaited."""
        found = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until an expression of JavaScript is true in the page."""
        async with asyncio.timeout(SECONDS):
            while not (found := await self.value(script)):  # noqa: ASYNC110 - the page is in another process
                await asyncio.sleep(0.05)
        return found

    async def look(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Be a window of this size, for eyes that want it light or dark."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def press(self, key: str) -> None:
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, text={"Enter": "\r"}.get(key, ""))
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    async def write(self, text: str) -> None:
        """Type into what has the focus."""
        await self.call("Input.insertText", text=text)

    async def picture(self, *, whole: bool = True) -> bytes:
        """A PNG of the page."""
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Browser]:
    """Start a browser with a new profile in `folder`, and end it."""
    program = shutil.which("chromium")
    assert program, "chromium is missing: .ci/packages test"
    profile = folder / "profile"
    profile.mkdir()
    with (folder / "chromium.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, *FLAGS.split(), f"--user-data-dir={profile}", "about:blank", stderr=log
        )
    try:
        port_file = profile / "DevToolsActivePort"
        async with asyncio.timeout(SECONDS):
            while not (port_file.exists() and port_file.read_text().count("\n")):
                assert process.returncode is None, (folder / "chromium.log").read_text()
                await asyncio.sleep(0.05)
        port = port_file.read_text().split("\n")[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                tab = next(one for one in await answer.json() if one["type"] == "page")
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                one = Browser(socket)
                reading = asyncio.create_task(one.read())
                try:
                    yield one
                finally:
                    reading.cancel()
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), SECONDS)
