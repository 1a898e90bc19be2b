"""What must hold for any sequence of orders, cancels and prints."""

from collections.abc import Callable
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from paper_exchange.matching import (
    Balance,
    Change,
    Depth,
    Force,
    MatchingEngine,
    OrderRequest,
    OrderType,
    RejectedError,
    Side,
    Status,
    TradingRules,
)

PRICES = st.integers(9000, 11000).map(lambda ticks: Decimal(ticks) / 100)
SIZES = st.integers(1, 5000).map(lambda steps: Decimal(steps) / 1000)
PRINT_SIZES = st.integers(1, 20_000_000).map(lambda units: Decimal(units) / 1_000_000)
SIDES = st.sampled_from(Side)
RATES = st.sampled_from([Decimal(0), Decimal("0.0008"), Decimal("0.001"), Decimal("0.00333")])


class Account(RuleBasedStateMachine):
    """One account living through anything."""

    @initialize(maker=RATES, taker=RATES, quote=st.integers(0, 3000), base=st.integers(0, 30), mid=PRICES)
    def begin(self, maker: Decimal, taker: Decimal, quote: int, base: int, mid: Decimal) -> None:
        self.trading_rules = TradingRules("BTC", "USDT", 2, 3, Decimal(1), maker, taker)
        self.start = {"USDT": Decimal(quote), "BTC": Decimal(base)}
        self.engine = MatchingEngine(self.trading_rules, {coin: Balance(amount) for coin, amount in self.start.items()})
        self.mid = mid
        self.count = 0
        self.bought = self.sold = self.paid = self.earned = Decimal(0)
        self.fees = {"USDT": Decimal(0), "BTC": Decimal(0)}
        self.last_trade_id = 0
        self.last_order_id = 0

    def depth(self) -> Depth:
        tick = Decimal("0.05")
        return Depth(
            tuple((self.mid - tick * n, Decimal(2) / n) for n in range(1, 6)),
            tuple((self.mid + tick * n, Decimal(2) / n) for n in range(1, 6)),
        )

    def attempt(self, plan: Callable[[], Change]) -> Change:
        try:
            change = plan()
        except RejectedError:
            return Change()
        self.engine.apply(change)
        for fill in change.fills:
            assert fill.trade_id > self.last_trade_id
            self.last_trade_id = fill.trade_id
            assert fill.quote == fill.price * fill.base
            self.fees[fill.fee_coin] += fill.fee
            if fill.side is Side.BUY:
                self.bought += fill.base
                self.paid += fill.quote
                assert fill.fee_coin == "BTC"
            else:
                self.sold += fill.base
                self.earned += fill.quote
                assert fill.fee_coin == "USDT"
        return change

    def request(self, side: Side, kind: OrderType, size: Decimal, price: Decimal | None, force: Force) -> Change:
        self.count += 1
        request = OrderRequest(f"c{self.count}", side, kind, size, price, force)
        change = self.attempt(lambda: self.engine.plan_place(request, self.depth(), self.count))
        for order in change.orders:
            assert order.order_id > self.last_order_id
            self.last_order_id = order.order_id
        return change

    @rule(side=SIDES, price=PRICES, size=SIZES)
    def place_post_only(self, side: Side, price: Decimal, size: Decimal) -> None:
        change = self.request(side, OrderType.LIMIT, size, price, Force.POST_ONLY)
        assert not change.fills
        best_bid, best_ask = self.depth().bids[0][0], self.depth().asks[0][0]
        crosses = price >= best_ask if side is Side.BUY else price <= best_bid
        for order in change.orders:
            assert order.status is (Status.CANCELLED if crosses else Status.LIVE)

    @rule(side=SIDES, price=PRICES, size=SIZES)
    def place_limit(self, side: Side, price: Decimal, size: Decimal) -> None:
        for fill in self.request(side, OrderType.LIMIT, size, price, Force.GTC).fills:
            assert not fill.is_maker
            assert fill.price <= price if side is Side.BUY else fill.price >= price

    @rule(side=SIDES, size=SIZES)
    def place_market(self, side: Side, size: Decimal) -> None:
        change = self.request(side, OrderType.MARKET, size * 10, None, Force.GTC)
        for order in change.orders:
            assert not order.status.is_open
            assert order.remaining >= 0

    @precondition(lambda self: bool(self.engine.open_orders))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.engine.open_orders))
        self.attempt(lambda: self.engine.plan_cancel(order.order_id, self.count))
        assert self.engine.find(order_id=order.order_id) is None

    @rule(price=PRICES, size=PRINT_SIZES)
    def trade(self, price: Decimal, size: Decimal) -> None:
        before = {order.order_id: order for order in self.engine.open_orders}
        change = self.attempt(lambda: self.engine.plan_print(price, size, self.count))
        assert sum((fill.base for fill in change.fills), Decimal(0)) <= size / 4
        for fill in change.fills:
            own = before[fill.order_id]
            assert fill.price == own.price
            assert fill.base <= own.remaining
            assert price < fill.price if fill.side is Side.BUY else price > fill.price
        self.mid = price

    @invariant()
    def nothing_is_negative(self) -> None:
        for balance in self.engine.balances.values():
            assert balance.available >= 0
            assert balance.frozen >= 0

    @invariant()
    def what_is_frozen_is_what_open_orders_need(self) -> None:
        for coin, balance in self.engine.balances.items():
            assert balance.frozen == self.engine.needed(coin)

    @invariant()
    def coins_are_conserved_but_for_fees(self) -> None:
        base = self.start["BTC"] + self.bought - self.sold - self.fees["BTC"]
        quote = self.start["USDT"] - self.paid + self.earned - self.fees["USDT"]
        assert self.engine.balance("BTC").total == base
        assert self.engine.balance("USDT").total == quote

    @invariant()
    def the_state_can_be_taken_up_again(self) -> None:
        again = MatchingEngine(self.trading_rules, self.engine.balances, self.engine.open_orders)
        assert again.open_orders == self.engine.open_orders
        assert all(order.status.is_open and order.remaining > 0 for order in again.open_orders)


TestAccount = Account.TestCase
TestAccount.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)
