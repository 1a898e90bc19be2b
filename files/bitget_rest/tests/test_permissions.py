"""What a live key may do, code by code."""

from __future__ import annotations

import pytest
from bitget_rest import Account, objections
from bitget_rest.permissions import READING, REFUSED
from hypothesis import given
from hypothesis import strategies as st

HERE = "203.0.113.7"


def judged(
    *codes: str, ips: tuple[str, ...] = (HERE,), connector: str = "bitget", trades: bool = True
) -> dict[str, str]:
    return objections(Account("1", ips, codes), [HERE], connector, trades=trades)


def test_read_and_spot_trade_pass() -> None:
    assert judged("stor", "stow") == {}
    assert judged("readonly", "trade") == {}
    assert judged(*READING, "stow") == {}


@pytest.mark.parametrize("code", REFUSED)
def test_every_other_right_is_refused(code: str) -> None:
    assert code in judged("stor", "stow", code)["key_permissions"]


def test_a_withdraw_enabled_key_is_refused_in_words() -> None:
    assert judged("stor", "stow", "wwow")["key_permissions"] == "it may wwow (withdraw)"


@given(st.text(min_size=1).filter(lambda code: code not in {*READING, *REFUSED, "stow", "trade"}))
def test_an_unknown_code_is_refused(code: str) -> None:
    assert "nobody here knows" in judged("stor", "stow", code)["key_permissions"]


def test_a_trading_bot_must_be_able_to_trade_and_a_watcher_need_not() -> None:
    assert "may not trade spot" in judged("stor")["key_permissions"]
    assert judged("stor", trades=False) == {}


def test_a_futures_bot_needs_what_a_spot_bot_must_not_have() -> None:
    assert judged("stor", "coor", "coow", "cpow", connector="bitget_perpetual") == {}
    assert "may not trade futures" in judged("stor", "stow", connector="bitget_perpetual")["key_permissions"]
    assert "withdraw" in judged("coow", "wwow", connector="bitget_perpetual")["key_permissions"]


@pytest.mark.parametrize(
    ("ips", "said"),
    [
        ((), "no IP whitelist"),
        (("203.0.113.8",), "does not hold this VPS"),
        (("0.0.0.0/0",), "4294967296 addresses"),
        (("10.0.0.0/8", HERE), "16777216 addresses"),
        (("*",), "no address"),
        (("2001:db8::1",), "does not hold this VPS"),
    ],
)
def test_a_whitelist_must_hold_this_vps_and_little_else(ips: tuple[str, ...], said: str) -> None:
    assert said in judged("stor", "stow", ips=ips)["key_whitelist"]


def test_a_whitelist_may_hold_more_than_this_vps() -> None:
    assert judged("stor", "stow", ips=("198.51.100.4", "203.0.113.0/24")) == {}


def test_a_vps_whose_address_is_unknown_is_refused() -> None:
    assert "no address of this VPS" in objections(Account("1", (HERE,), ("stow",)), ["vps1"], "bitget")["key_whitelist"]
