"""Puts the parts together, serves until told to stop, and stops cleanly."""

import asyncio
import contextlib
import fcntl
import logging
import signal
import sqlite3
import ssl
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

from aiohttp import web

from ..config import Config, ConfigError, Credentials, RecordedMarketConfig
from ..market.feed import Market
from ..market.recorded import Anchor, BookShape, RecordedMarket, make_anchor, resume_anchor
from ..market.recording import RecordingError, read_recording
from ..market.relay import relay
from ..market.shifted import ShiftedMarket
from ..matching import MatchingEngine
from .auth import Authenticator
from .books import Books, BooksError
from .control import SOCKET_NAME, ControlServer
from .exchange import Account, Exchange
from .faults import Faults
from .latency import Latency
from .limits import CallLimits
from .market_endpoints import MarketEndpoints
from .rest import RestServer
from .stage import Stage
from .tls import CertificateStore
from .trade_endpoints import TradeEndpoints
from .websocket import SocketServer

_log = logging.getLogger(__name__)
_DAY_S = 86400
_WATCH_EVERY_S = 10
# Bitget's customer numbers have ten digits.
_FIRST_USER_ID = 1_000_000_001


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
        _check_keys(config, credentials)
        authenticator = Authenticator(credentials, config.timestamp_window_s)
        to_exchange = Latency(config.latency_ms, config.latency_jitter_ms)
        from_exchange = Latency(config.latency_ms, config.latency_jitter_ms)
        sockets = SocketServer(exchange, authenticator, from_exchange, config.socket_life_s)
        stage = Stage(exchange, sockets)
        exchange.attach(sockets)
        market = MarketEndpoints(exchange)
        trade = TradeEndpoints(exchange, market, to_exchange)
        limits = CallLimits() if config.rate_limits else None
        context = _certificates(config, stack)
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_get("/v2/ws/public", sockets.public)
        app.router.add_get("/v2/ws/private", sockets.private)
        app.router.add_route("*", "/{path:.*}", RestServer(exchange, authenticator, market, trade, limits).handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.push_async_callback(sockets.close)
        port = await _listen(runner, config, context)
        control = await ControlServer(exchange, sockets, stage).listen(config.state_dir / SOCKET_NAME)
        stack.callback(control.close)
        _tell_downtime(exchange)
        for name, work in (
            ("market", exchange.market.run(exchange)),
            ("candles", sockets.push_candles()),
            ("cuts", sockets.cut_again_and_again()),
            ("watch", _watch(exchange)),
        ):
            stack.push_async_callback(_end, _watched(name, work))
        stack.callback(stage.stop)
        if config.scenario:
            stage.play(config.scenario)
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
    """Books, accounts and market, going on where the books stand."""
    rules = config.rules
    start = {
        account.name: {rules.base: account.start_base, rules.quote: account.start_quote}
        for account in config.all_accounts
    }
    try:
        books = Books(config.state_dir / "books.sqlite", config.pair, start, int(time.time() * 1000))
    except BooksError as error:
        raise ConfigError(str(error)) from error
    stack.callback(books.close)
    numbers = books.numbers()
    accounts = []
    for number, account in enumerate(config.all_accounts):
        opening = books.opening(account.name)
        try:
            engine = MatchingEngine(
                config.rules_of(account),
                opening.balances,
                opening.open_orders,
                numbers=numbers,
                participation=config.participation,
            )
        except ValueError as error:
            raise ConfigError(f"{config.state_dir / 'books.sqlite'}: {error}: restore it from a backup") from error
        accounts.append(Account(account.name, str(_FIRST_USER_ID + number), engine))
        _log.info(
            "books opened",
            extra={
                "account": account.name,
                "new": books.is_new,
                "open_orders": len(opening.open_orders),
                "balances": {coin: str(balance.total) for coin, balance in opening.balances.items()},
            },
        )
    market: Market
    if isinstance(config.market, RecordedMarketConfig):
        market = _recorded(config, config.market, books)
    else:
        market = await stack.enter_async_context(relay(config.market, rules))

    def noted() -> None:
        with contextlib.suppress(sqlite3.Error):  # books that cannot be written are the health check's business
            books.set_meta("misbehaved_ms", int(time.time() * 1000))

    faults = Faults(noted=noted)

    def jump() -> Decimal:
        fault = faults.use("price-jump")
        return Decimal(1) if fault is None else 1 + Decimal(fault["percent"]) / 100

    return Exchange(rules, accounts, books, ShiftedMarket(market, rules, jump), faults)


def _check_keys(config: Config, credentials: Credentials) -> None:
    names = {account.name for account in config.all_accounts}
    keys = [key.api_key for key in credentials.all_keys]
    if len(set(keys)) < len(keys):
        raise ConfigError(f"{config.credentials}: keys: an api_key is given twice: give each key once")
    for key in credentials.all_keys:
        if key.account not in names:
            raise ConfigError(
                f"{config.credentials}: keys: no account {key.account!r} in the configuration: "
                f"one of {', '.join(sorted(names))}"
            )


def _tell_downtime(exchange: Exchange) -> None:
    """Nobody watched the market while this exchange was down."""
    watched_ms, now_ms = exchange.books.meta("watched_ms"), exchange.true_ms()
    if watched_ms is not None and now_ms - watched_ms > _WATCH_EVERY_S * 1000:
        exchange.on_gap(watched_ms, now_ms, "the exchange was down")


async def _watch(exchange: Exchange) -> None:
    """Keep the time until which the market was seen, until cancelled."""
    while True:
        exchange.check_books()
        await asyncio.sleep(_WATCH_EVERY_S)


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
