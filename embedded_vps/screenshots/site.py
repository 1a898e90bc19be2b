"""The page's server on this machine: the page itself, and Grafana's API through the tunnel that an operator uses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

import aiohttp
import yaml
from aiohttp import web

from embedded_vps import layout
from embedded_vps.console import EmbeddedVpsError

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Dashboards</title>
<body><div id="root"></div><script src="/page.js"></script></body></html>
"""
TUNNEL_WITHIN_S = 30.0


def _login() -> aiohttp.BasicAuth:
    hosts = yaml.safe_load((layout.REPOSITORY / "inventories" / "demo" / "hosts.yml").read_text(encoding="utf-8"))
    return aiohttp.BasicAuth("admin", hosts["vps"]["hosts"]["vps1"]["monitoring_grafana_password"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def _grafana() -> AsyncIterator[str]:
    """The URL of the VPS's Grafana, through `ssh -L` as docs/monitoring.md says."""
    port = _free_port()
    ssh = await asyncio.create_subprocess_exec(
        "ssh", "-N", "-L", f"{port}:127.0.0.1:3000", "-i", str(layout.KEY),
        "-o", f"UserKnownHostsFile={layout.KNOWN_HOSTS}", "-o", "ExitOnForwardFailure=yes", "-o", "BatchMode=yes",
        f"ops@{layout.VPS.v4}",
    )  # fmt: skip
    try:
        deadline = time.monotonic() + TUNNEL_WITHIN_S
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError as error:
                if ssh.returncode is not None or time.monotonic() > deadline:
                    raise EmbeddedVpsError(
                        f"no tunnel to ops@{layout.VPS.v4}. Fix: make demo (or python -m embedded_vps up, and site.yml)"
                    ) from error
                await asyncio.sleep(0.2)
            else:
                writer.close()
                break
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            ssh.terminate()
        await ssh.wait()


@contextlib.asynccontextmanager
async def serving(script: bytes) -> AsyncIterator[str]:
    """Serve the page while the context lasts; gives its address."""
    async with _grafana() as grafana, aiohttp.ClientSession(auth=_login()) as session:

        async def page(_: web.Request) -> web.Response:
            return web.Response(text=PAGE, content_type="text/html")

        async def code(_: web.Request) -> web.Response:
            return web.Response(body=script, content_type="text/javascript", charset="utf-8")

        async def api(request: web.Request) -> web.Response:
            async with session.get(f"{grafana}{request.path}", params=request.query) as answer:
                return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)

        application = web.Application()
        application.add_routes(
            [web.get("/", page), web.get("/d/{uid}", page), web.get("/page.js", code), web.get("/api/{path:.*}", api)]
        )
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            port = _free_port()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            yield f"http://127.0.0.1:{port}"
        finally:
            await runner.cleanup()
