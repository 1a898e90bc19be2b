"""The journal of a paper bot in real Hummingbot: every decision that it took, over a crash and a restart, again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from epp.journal.reader import Segment, find_segments
from epp.journal.verify import verify
from epp.tests.adapter.paper_trading import STREAM, assert_books_agree, first_fill

if TYPE_CHECKING:
    from .conftest import Bot, Exchange

pytestmark = pytest.mark.bot_image

TRADING_S = float(os.environ.get("EPP_JOURNAL_S", "60"))
"""Of trading in each of the bot's two lives; more for a longer proof."""


def epp_in_image(bot: Bot, *arguments: str) -> str:
    """What ``epp`` says in the bot's own image, beside its books."""
    from epp.tests.adapter.conftest import IMAGE, docker

    return docker(
        "run", "--rm", "--network", "none", *bot.arguments(),
        IMAGE, "python", "-m", "controllers.epp", *arguments, timeout=600,
    )  # fmt: skip


def test_every_decision_of_a_paper_run_is_made_again(
    make_exchange: Callable[..., Exchange], make_bot: Callable[..., Bot]
) -> None:
    """Fills, refused orders, a kill -9, fills missed meanwhile, an operator's pause, a clean stop."""
    exchange = make_exchange(market={"speed": 60})
    bot = make_bot(exchange, **STREAM)
    bot.run()
    bot.wait_for_log("First quote")
    first_fill(exchange)
    time.sleep(TRADING_S)
    bot.kill()
    time.sleep(10)
    bot.start()
    bot.wait_for_log("First quote", times=2)
    time.sleep(TRADING_S)
    for action in ("pause", "resume"):
        assert bot.request(action, "a test") == "done"
        time.sleep(5)
    assert bot.stop() == 0
    assert_books_agree(bot, exchange)

    books = bot.root / "logs/epp_v24/bot1_a"
    segments = [Segment(path) for path in find_segments(books)]
    found = verify(segments)
    assert found.difference is None, found.difference
    assert (found.segments, found.starts, found.lost) == (2, 2, 0)
    assert found.ticks > TRADING_S, "a tick a second, fewer on a busy machine"
    assert found.placed > 10
    names = [call.name for segment in segments for call in segment.calls()]
    assert {"decide", "on_fill", "on_cancel", "seed_bars", "pause", "resume"} <= set(names)

    # Each fill of the exchange is in it, but one whose call a kill -9 may have cut off with the line.
    journaled = {
        call.given["fill"]["trade_id"] for segment in segments for call in segment.calls() if call.name == "on_fill"
    }
    assert len(set(exchange.fills()) - journaled) <= 1
    assert not journaled - set(exchange.fills())

    said: dict[str, Any] = json.loads(epp_in_image(bot, "journal", "verify", "--json", "logs/epp_v24/bot1_a"))
    print(json.dumps(said))
    assert said["identical"] is True
    assert (said["ticks"], said["fills"]) == (found.ticks, found.fills)
    shown = epp_in_image(bot, "journal", "show", "logs/epp_v24/bot1_a")
    print(shown)
    assert "bot1_a, paper" in shown
    calls = sum(1 for _ in segments[-1].calls())
    size = segments[-1].path.stat().st_size - len(segments[-1].head.model_dump_json())
    print(f"{size / calls:.0f} bytes a call, {calls} calls")


def test_no_journal_when_the_configuration_keeps_none(
    make_exchange: Callable[..., Exchange], make_bot: Callable[..., Bot]
) -> None:
    exchange = make_exchange()
    bot = make_bot(exchange, journal_max_mb=0, **STREAM)
    bot.run()
    bot.wait_for_log("First quote")
    assert bot.stop() == 0
    assert not (bot.root / "logs/epp_v24/bot1_a/journal").exists()
