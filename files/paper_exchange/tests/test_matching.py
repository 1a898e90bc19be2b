"""The matching engine, case by case."""

from dataclasses import replace
from decimal import Decimal

import pytest
from paper_exchange.matching import (
    Balance,
    Change,
    Depth,
    Force,
    MatchingEngine,
    Numbers,
    OrderRequest,
    OrderType,
    Reject,
    RejectedError,
    Side,
    Status,
    TradingRules,
    share_print,
)

RULES = TradingRules("BTC", "USDT", 2, 6, Decimal(5), Decimal("0.001"), Decimal("0.002"))
DEPTH = Depth(
    bids=((Decimal("99.90"), Decimal(2)), (Decimal("99.00"), Decimal(5))),
    asks=((Decimal("100.10"), Decimal(2)), (Decimal("101.00"), Decimal(5))),
)


@pytest.fixture
def engine() -> MatchingEngine:
    return MatchingEngine(RULES, {"USDT": Balance(Decimal(10000)), "BTC": Balance(Decimal(50))})


def limit(side: Side, price: str, size: str, client_id: str = "a", force: Force = Force.POST_ONLY) -> OrderRequest:
    return OrderRequest(client_id, side, OrderType.LIMIT, Decimal(size), Decimal(price), force)


def do(engine: MatchingEngine, change: Change) -> Change:
    engine.apply(change)
    return change


def place(engine: MatchingEngine, request: OrderRequest) -> Change:
    return do(engine, engine.plan_place(request, DEPTH, 1000))


def test_a_resting_order_freezes_what_it_needs(engine: MatchingEngine) -> None:
    place(engine, limit(Side.BUY, "99.50", "1.5"))
    place(engine, limit(Side.SELL, "100.50", "2", "b"))
    assert engine.balance("USDT") == Balance(Decimal("9850.75"), Decimal("149.25"))
    assert engine.balance("BTC") == Balance(Decimal(48), Decimal(2))


def test_planning_changes_nothing(engine: MatchingEngine) -> None:
    change = engine.plan_place(limit(Side.BUY, "99.50", "1"), DEPTH, 1000)
    assert change
    assert engine.open_orders == ()
    assert engine.balance("USDT") == Balance(Decimal(10000))


def test_a_touch_does_not_fill(engine: MatchingEngine) -> None:
    place(engine, limit(Side.BUY, "99.50", "1"))
    assert not engine.plan_print(Decimal("99.50"), Decimal(1000), 2000)


@pytest.mark.parametrize("taker_price", ["99.49", "50.00"])
def test_a_print_through_fills_at_the_orders_own_price(engine: MatchingEngine, taker_price: str) -> None:
    place(engine, limit(Side.BUY, "99.50", "1"))
    (fill,) = do(engine, engine.plan_print(Decimal(taker_price), Decimal(1000), 2000)).fills
    assert (fill.price, fill.base, fill.quote, fill.is_maker) == (Decimal("99.50"), Decimal(1), Decimal("99.50"), True)
    assert (fill.fee, fill.fee_coin) == (Decimal("0.001"), "BTC")
    assert engine.balance("BTC").available == Decimal("50.999")
    assert engine.open_orders == ()


def test_a_sell_pays_its_fee_in_quote(engine: MatchingEngine) -> None:
    place(engine, limit(Side.SELL, "100.50", "1"))
    (fill,) = do(engine, engine.plan_print(Decimal("100.51"), Decimal(1000), 2000)).fills
    assert (fill.fee, fill.fee_coin) == (Decimal("0.1005"), "USDT")
    assert engine.balance("USDT").available == Decimal("10100.3995")


def test_fills_of_one_print_share_a_quarter_of_it_best_price_first(engine: MatchingEngine) -> None:
    place(engine, limit(Side.BUY, "99.00", "1", "far"))
    place(engine, limit(Side.BUY, "99.50", "1", "near"))
    change = do(engine, engine.plan_print(Decimal("98.00"), Decimal(6), 2000))
    assert [(fill.client_id, fill.base) for fill in change.fills] == [("near", Decimal(1)), ("far", Decimal("0.5"))]
    far = engine.find(client_id="far")
    assert far is not None
    assert far.status is Status.PARTIALLY_FILLED
    assert engine.balance("USDT").frozen == Decimal("49.50")


def test_equal_prices_fill_oldest_first(engine: MatchingEngine) -> None:
    place(engine, limit(Side.SELL, "101.00", "1", "old"))
    place(engine, limit(Side.SELL, "101.00", "1", "new"))
    change = engine.plan_print(Decimal("102.00"), Decimal(4), 2000)
    assert [fill.client_id for fill in change.fills] == ["old"]


def test_a_print_too_small_for_a_step_fills_nothing(engine: MatchingEngine) -> None:
    place(engine, limit(Side.BUY, "99.50", "1"))
    assert not engine.plan_print(Decimal("99.00"), Decimal("0.000003"), 2000)


def test_trade_ids_only_grow(engine: MatchingEngine) -> None:
    place(engine, limit(Side.BUY, "99.50", "1"))
    ids = [do(engine, engine.plan_print(Decimal("99.00"), Decimal(1), 2000)).fills[0].trade_id for _ in range(4)]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, "100.10"), (Side.SELL, "99.90")])
def test_a_post_only_order_that_would_cross_is_cancelled(engine: MatchingEngine, side: Side, price: str) -> None:
    change = place(engine, limit(side, price, "1"))
    assert [step.order.status for step in change.steps] == [Status.LIVE, Status.CANCELLED]
    assert change.orders[-1].cancel_reason == "post_only_would_cross"
    assert not change.fills
    assert engine.balance("USDT") == Balance(Decimal(10000))
    assert engine.balance("BTC") == Balance(Decimal(50))


def test_a_crossing_limit_order_takes_and_rests(engine: MatchingEngine) -> None:
    change = place(engine, limit(Side.BUY, "100.50", "3", force=Force.GTC))
    (fill,) = change.fills
    assert (fill.price, fill.base, fill.is_maker, fill.fee) == (Decimal("100.10"), Decimal(2), False, Decimal("0.004"))
    assert engine.balance("USDT") == Balance(
        Decimal("10000") - Decimal("200.20") - Decimal("100.50"), Decimal("100.50")
    )


def test_a_market_buy_is_sized_in_quote(engine: MatchingEngine) -> None:
    change = place(engine, OrderRequest("m", Side.BUY, OrderType.MARKET, Decimal(300)))
    order = change.orders[-1]
    assert order.status is Status.FILLED
    assert order.filled_quote <= 300
    assert [fill.price for fill in change.fills] == [Decimal("100.10"), Decimal("101.00")]
    assert engine.balance("USDT") == Balance(Decimal(10000) - order.filled_quote)


def test_a_market_sell_beyond_the_book_is_cut_off(engine: MatchingEngine) -> None:
    order = place(engine, OrderRequest("m", Side.SELL, OrderType.MARKET, Decimal(20))).orders[-1]
    assert (order.status, order.filled_base) == (Status.CANCELLED, Decimal(7))
    assert engine.balance("BTC") == Balance(Decimal(43))


def test_cancel_gives_back_what_is_left(engine: MatchingEngine) -> None:
    order = place(engine, limit(Side.BUY, "99.50", "1")).orders[-1]
    do(engine, engine.plan_print(Decimal("99.00"), Decimal(2), 2000))
    do(engine, engine.plan_cancel(order.order_id, 3000))
    assert engine.balance("USDT") == Balance(Decimal("9950.25"))
    with pytest.raises(RejectedError) as refused:
        engine.plan_cancel(order.order_id, 3000)
    assert refused.value.reason is Reject.ORDER_NOT_FOUND


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (limit(Side.BUY, "99.505", "1"), Reject.PRICE_PRECISION),
        (limit(Side.BUY, "99.50", "1.0000001"), Reject.SIZE_PRECISION),
        (limit(Side.BUY, "99.50", "0"), Reject.NOT_POSITIVE),
        (limit(Side.BUY, "-1", "1"), Reject.NOT_POSITIVE),
        (limit(Side.BUY, "99.50", "0.05"), Reject.MIN_NOTIONAL),
        (limit(Side.BUY, "99.50", "1000"), Reject.INSUFFICIENT_BALANCE),
        (limit(Side.SELL, "100.50", "51"), Reject.INSUFFICIENT_BALANCE),
        (replace(limit(Side.BUY, "99.50", "1"), price=None), Reject.NOT_POSITIVE),
        (OrderRequest("m", Side.BUY, OrderType.MARKET, Decimal(4)), Reject.MIN_NOTIONAL),
    ],
)
def test_what_the_rules_forbid_is_refused(engine: MatchingEngine, request_: OrderRequest, reason: Reject) -> None:
    with pytest.raises(RejectedError) as refused:
        engine.plan_place(request_, DEPTH, 1000)
    assert refused.value.reason is reason


def test_a_client_id_in_use_is_refused(engine: MatchingEngine) -> None:
    place(engine, limit(Side.BUY, "99.50", "1"))
    with pytest.raises(RejectedError) as refused:
        engine.plan_place(limit(Side.BUY, "99.50", "1"), DEPTH, 1000)
    assert refused.value.reason is Reject.DUPLICATE_CLIENT_ID


def test_a_market_order_without_a_book_is_refused(engine: MatchingEngine) -> None:
    with pytest.raises(RejectedError) as refused:
        engine.plan_place(OrderRequest("m", Side.BUY, OrderType.MARKET, Decimal(100)), Depth(), 1000)
    assert refused.value.reason is Reject.NO_LIQUIDITY


def test_balances_that_do_not_fit_the_orders_are_refused(engine: MatchingEngine) -> None:
    place(engine, limit(Side.BUY, "99.50", "1"))
    with pytest.raises(ValueError, match="frozen"):
        MatchingEngine(RULES, {"USDT": Balance(Decimal(10000))}, engine.open_orders)


@pytest.mark.parametrize(
    ("force", "price", "size", "filled", "reason"),
    [
        (Force.IOC, "100.10", "3", "2", "ioc_cancel"),
        (Force.IOC, "100.05", "1", "0", "ioc_cancel"),
        (Force.IOC, "101.00", "3", "3", ""),
        (Force.FOK, "100.10", "3", "0", "fok_cancel"),
        (Force.FOK, "100.05", "1", "0", "fok_cancel"),
        (Force.FOK, "101.00", "7", "7", ""),
    ],
)
def test_what_must_not_rest_does_not(
    engine: MatchingEngine, force: Force, price: str, size: str, filled: str, reason: str
) -> None:
    change = place(engine, limit(Side.BUY, price, size, force=force))
    order = change.orders[-1]
    assert (order.filled_base, order.cancel_reason, order.status.is_open) == (Decimal(filled), reason, False)
    assert engine.balance("USDT").frozen == 0


@pytest.mark.parametrize(
    ("side", "price", "reason"),
    [(Side.BUY, "105.11", Reject.PRICE_TOO_HIGH), (Side.SELL, "94.90", Reject.PRICE_TOO_LOW)],
)
def test_a_limit_far_beyond_the_market_is_refused(side: Side, price: str, reason: Reject) -> None:
    engine = MatchingEngine(
        replace(RULES, price_band=Decimal("0.05")), {"USDT": Balance(Decimal(10000)), "BTC": Balance(Decimal(50))}
    )
    with pytest.raises(RejectedError) as refusal:
        engine.plan_place(limit(side, price, "1"), DEPTH, 1000)
    assert refusal.value.reason is reason
    inside = {Side.BUY: "105.10", Side.SELL: "94.91"}[side]
    assert engine.plan_place(limit(side, inside, "1"), DEPTH, 1000)
    assert MatchingEngine(RULES, {"USDT": Balance(Decimal(10000)), "BTC": Balance(Decimal(50))}).plan_place(
        limit(side, price, "1"), DEPTH, 1000
    )


def test_a_trade_from_before_an_order_does_not_fill_it(engine: MatchingEngine) -> None:
    place(engine, limit(Side.BUY, "99.50", "1"))
    assert not engine.plan_print(Decimal("99.00"), Decimal(1000), 2000, traded_ms=999)
    assert engine.plan_print(Decimal("99.00"), Decimal(1000), 2000, traded_ms=1000)


def test_a_print_is_shared_among_accounts_best_price_first_then_the_oldest() -> None:
    numbers = Numbers()
    start = {"USDT": Balance(Decimal(10000)), "BTC": Balance(Decimal(50))}
    first, second = (MatchingEngine(RULES, start, numbers=numbers) for _ in range(2))
    place(first, limit(Side.BUY, "99.40", "1", "a"))
    place(second, limit(Side.BUY, "99.50", "1", "a"))
    place(first, limit(Side.BUY, "99.50", "1", "b"))
    orders = [*first.open_orders, *second.open_orders]
    assert len({order.order_id for order in orders}) == 3
    shares = share_print(Decimal("99.00"), Decimal("1.5"), orders)
    assert [(order.order_id, base) for order, base in shares] == [(2, Decimal(1)), (3, Decimal("0.5"))]
    changes = [
        do(engine, engine.plan_fills([(order, base) for order, base in shares if order in engine.open_orders], 2000))
        for engine in (second, first)
    ]
    assert [fill.trade_id for change in changes for fill in change.fills] == [1, 2]
