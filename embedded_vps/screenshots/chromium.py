"""Chromium without a window, told over its DevTools protocol what to look at and how wide."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from embedded_vps.console import EmbeddedVpsError

STARTS_WITHIN_S = 60.0
DRAWN_WITHIN_S = 300.0

PHONE_BELOW = 768
"""A screen narrower than this is a phone's: Grafana puts the panels below each other there."""

Message = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """A screen: its width in CSS pixels, the picture's pixels for each of them, and WebP's quality."""

    width: int
    scale: float
    quality: int


class Browser:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.numbers = itertools.count(1)
        self.said: list[str] = []

    async def call(self, method: str, **parameters: Any) -> Message:
        """One command's result; what the page says meanwhile is kept."""
        number = next(self.numbers)
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message: Message = await self.socket.receive_json(timeout=DRAWN_WITHIN_S)
            if message.get("method") == "Runtime.exceptionThrown":
                details = message["params"]["exceptionDetails"]
                self.said.append(details.get("exception", {}).get("description") or details["text"])
            if message.get("id") == number:
                if "error" in message:
                    raise EmbeddedVpsError(f"Chromium refuses {method}: {message['error']['message']}")
                result: Message = message["result"]
                return result

    async def value(self, expression: str) -> Any:
        """What an expression is on the page."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return found["result"].get("value")

    async def picture(self, address: str, size: Size) -> bytes:
        """The whole page as a WebP, once it says that all is drawn.

        Raises:
            EmbeddedVpsError: it never said so, or an error came up on it.
        """
        self.said.clear()
        screen = {"width": size.width, "deviceScaleFactor": size.scale, "mobile": size.width < PHONE_BELOW}
        await self.call("Emulation.setDeviceMetricsOverride", height=900, **screen)
        await self.call("Page.navigate", url=address)
        deadline = time.monotonic() + DRAWN_WITHIN_S
        while await self.value("document.body && document.body.dataset.drawn") != "yes":
            if self.said or time.monotonic() > deadline:
                raise EmbeddedVpsError(f"{address} is not drawn: {'; '.join(self.said) or 'no end'}")
            await asyncio.sleep(0.3)
        height = int(await self.value("document.documentElement.scrollHeight"))
        await self.call("Emulation.setDeviceMetricsOverride", height=height, **screen)
        await self.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if self.said:
            raise EmbeddedVpsError(f"{address}: {'; '.join(self.said)}")
        shot = await self.call("Page.captureScreenshot", format="webp", quality=size.quality)
        return base64.b64decode(shot["data"])


@contextlib.asynccontextmanager
async def started() -> AsyncIterator[Browser]:
    """A browser while the context lasts."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((found for name in names if (found := shutil.which(name))), None)
    if program is None:
        raise EmbeddedVpsError("no browser is installed. Fix: make browser")
    with tempfile.TemporaryDirectory(prefix="embedded-vps-", ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--disable-renderer-backgrounding", "--remote-debugging-port=0",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            f"--user-data-dir={profile}", "about:blank",
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            written = Path(profile) / "DevToolsActivePort"
            deadline = time.monotonic() + STARTS_WITHIN_S
            while not written.exists() or not written.read_text():
                if process.returncode is not None or time.monotonic() > deadline:
                    raise EmbeddedVpsError(f"{program} does not start")
                await asyncio.sleep(0.2)
            port = written.read_text().split()[0]
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    tab = next(one for one in await answer.json() if one["type"] == "page")
                async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    browser = Browser(socket)
                    await browser.call("Page.enable")
                    await browser.call("Runtime.enable")
                    yield browser
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
