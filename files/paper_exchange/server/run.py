"""Puts the parts together, serves until told to stop, and stops cleanly."""

import asyncio
import contextlib
import fcntl
import logging
import signal
import ssl
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import asdict
from pathlib import Path

from aiohttp import web

from ..config import Config, ConfigError, Credentials, RecordedMarketConfig
from ..market.feed import Market
from ..market.recorded import Anchor, BookShape, RecordedMarket, make_anchor, resume_anchor
from ..market.recording import RecordingError, read_recording
from ..market.relay import relay
from ..matching import MatchingEngine
from .auth import Authenticator
from .books import Books, BooksError
from .control import SOCKET_NAME, ControlServer
from .exchange import Exchange
from .faults import Faults
from .rest import RestServer
from .tls import CertificateStore
from .websocket import SocketServer

_log = logging.getLogger(__name__)
_DAY_S = 86400


async def serve(config: Config, credentials: Credentials, ready: asyncio.Event | None = None) -> None:
    """Run the exchange until SIGTERM or SIGINT, or until cancelled.

    Args:
        config: what to run.
        credentials: the API key to accept.
        ready: set once requests are answered.

    Raises:
        ConfigError: a file or directory named by the configuration cannot be used.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(config, credentials):
        if ready is not None:
            ready.set()
        await stop.wait()
        _log.info("stopping")
    _log.info("stopped")


@contextlib.asynccontextmanager
async def running(config: Config, credentials: Credentials) -> AsyncIterator[tuple[Exchange, int]]:
    """The exchange, up: yields it and its port.

    Raises:
        ConfigError: a file or directory named by the configuration cannot be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_only_one(config.state_dir))
        exchange = await _open(config, stack)
        authenticator = Authenticator(credentials, config.timestamp_window_s)
        sockets = SocketServer(exchange, authenticator)
        exchange.attach(sockets)
        context = _certificates(config, stack)
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_get("/v2/ws/public", sockets.public)
        app.router.add_get("/v2/ws/private", sockets.private)
        app.router.add_route("*", "/{path:.*}", RestServer(exchange, authenticator).handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.push_async_callback(sockets.close)
        port = await _listen(runner, config, context)
        control = await ControlServer(exchange, sockets).listen(config.state_dir / SOCKET_NAME)
        stack.callback(control.close)
        for name, work in (("market", exchange.market.run(exchange)), ("candles", sockets.push_candles())):
            stack.push_async_callback(_end, _watched(name, work))
        opening = exchange.market.describe()
        _log.info(
            "market %s at %sx (synthetic book: %s), listening on port %d",
            opening["kind"],
            opening["speed"],
            "yes" if opening["book"] == "synthetic" else "no",
            port,
            extra={"bot": config.bot, "pair": config.pair, "port": port, **opening},
        )
        yield exchange, port


async def _open(config: Config, stack: contextlib.AsyncExitStack) -> Exchange:
    """Books, engine and market, going on where the books stand."""
    rules = config.rules
    start = {rules.base: config.start_base, rules.quote: config.start_quote}
    try:
        books = Books(config.state_dir / "books.sqlite", config.pair, start, int(time.time() * 1000))
    except BooksError as error:
        raise ConfigError(str(error)) from error
    stack.callback(books.close)
    opening = books.opening()
    try:
        engine = MatchingEngine(
            rules,
            opening.balances,
            opening.open_orders,
            next_order_id=opening.next_order_id,
            next_trade_id=opening.next_trade_id,
            participation=config.participation,
        )
    except ValueError as error:
        raise ConfigError(f"{config.state_dir / 'books.sqlite'}: {error}: restore it from a backup") from error
    _log.info(
        "books opened",
        extra={
            "new": opening.is_new,
            "open_orders": len(opening.open_orders),
            "balances": {coin: str(balance.total) for coin, balance in opening.balances.items()},
        },
    )
    market: Market
    if isinstance(config.market, RecordedMarketConfig):
        market = _recorded(config, config.market, books)
    else:
        market = await stack.enter_async_context(relay(config.market, rules))
    return Exchange(rules, engine, books, market, Faults())


def _recorded(config: Config, market: RecordedMarketConfig, books: Books) -> RecordedMarket:
    try:
        recording = read_recording(market.file)
    except RecordingError as error:
        raise ConfigError(f"{error}: correct market.file") from error
    if market.start_offset_s >= len(recording) * 60:
        raise ConfigError(f"market.start_offset_s: {market.start_offset_s:g} is beyond the end of {market.file}")
    now = time.time()
    saved = books.meta("anchor")
    if saved is None:
        anchor = make_anchor(recording.fingerprint, market.start_offset_s, now, market.speed)
    else:
        anchor = resume_anchor(Anchor(**saved), recording.fingerprint, market.start_offset_s, now, market.speed)
    if asdict(anchor) != saved:
        books.set_meta("anchor", asdict(anchor))
        _log.info("market anchored", extra=asdict(anchor))
    shape = BookShape(market.spread_bps, market.level_gap_bps, market.levels, market.level_quote)
    return RecordedMarket(recording, anchor, config.rules, shape)


def _certificates(config: Config, stack: contextlib.AsyncExitStack) -> ssl.SSLContext:
    store = CertificateStore(config.tls_dir, config.host_names)
    try:
        store.ensure()
    except OSError as error:
        raise ConfigError(f"tls_dir: {error}: make {config.tls_dir} writable for this user") from error
    context = store.server_context()

    async def renew() -> None:
        while True:
            await asyncio.sleep(_DAY_S)
            if store.ensure():
                store.reload(context)
                _log.info("certificate renewed")

    stack.push_async_callback(_end, _watched("certificates", renew()))
    return context


async def _listen(runner: web.AppRunner, config: Config, context: ssl.SSLContext) -> int:
    """Listen on every address the machine has a family for; returns the port."""
    port = config.port
    bound = 0
    for address in config.listen_addresses:
        site = web.TCPSite(runner, str(address), port, ssl_context=context, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            if address.version == 6:
                _log.info("no IPv6 here: IPv4 only", extra={"why": error.strerror})
                continue
            raise ConfigError(f"port: cannot listen on {address} port {port}: {error.strerror}") from error
        bound += 1
        port = runner.addresses[-1][1]
    if not bound:
        raise ConfigError("listen_addresses: none can be listened on: give one of this machine")
    return port


@contextlib.contextmanager
def _only_one(state_dir: Path) -> Iterator[None]:
    try:
        file = (state_dir / "lock").open("w")
    except OSError as error:
        raise ConfigError(f"state_dir: {error}: make {state_dir}, writable for this user") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"state_dir: {state_dir} is in use by another paper exchange: stop that one") from None
        yield


def _watched(name: str, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """A task whose end, other than by cancelling, stops the process: a container that restarts is better than half
    an exchange."""

    async def watch() -> None:
        try:
            await work
        except Exception:
            _log.critical("%s failed: stopping", name, exc_info=True)
            signal.raise_signal(signal.SIGTERM)

    return asyncio.create_task(watch(), name=name)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
