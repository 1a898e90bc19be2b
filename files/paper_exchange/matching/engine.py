"""Own resting orders against the public market, filled conservatively.

A resting order fills only when a public trade prints *through* its price (strictly beyond it: a touch never fills), at
its own price, and all fills of one print together, whoever's they are, take at most ``participation`` of the volume
printed. Orders trade with the market only, never with one another, and leave no trace in the public book.

An engine is one account's orders on one pair. Several accounts on one market are several engines that share their
`Numbers`, and share each print by `share_print`.

Every operation is planned first and applied afterwards: a `Change` says all that would happen and touches nothing, so
that the caller can make it durable before it becomes true.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext

from .orders import ZERO, Balance, Fill, Force, Order, OrderRequest, OrderType, Reject, RejectedError, Side, Status
from .rules import TradingRules

# Amounts are exact: 50 digits hold any price times size times fee, so nothing is ever rounded away.
_EXACT = Context(prec=50)

Level = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Depth:
    """The public book at one moment: (price, size in base) per level, best first."""

    bids: Sequence[Level] = ()
    asks: Sequence[Level] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One transition of one order, and the fill that made it, if a fill did."""

    order: Order
    fill: Fill | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What an operation does: transitions in order, the balances they end in, and the ids they used up."""

    steps: tuple[Step, ...] = ()
    balances: Mapping[str, Balance] = field(default_factory=dict)
    next_order_id: int = 0
    next_trade_id: int = 0

    def __bool__(self) -> bool:
        return bool(self.steps)

    @property
    def fills(self) -> tuple[Fill, ...]:
        """The fills, oldest first."""
        return tuple(step.fill for step in self.steps if step.fill is not None)

    @property
    def orders(self) -> tuple[Order, ...]:
        """The last state of every order touched."""
        return tuple({step.order.order_id: step.order for step in self.steps}.values())


EMPTY = Change()


@dataclass(slots=True)
class Numbers:
    """The next order id and the next trade id to give; they only grow."""

    next_order_id: int = 1
    next_trade_id: int = 1


def share_print(
    price: Decimal, budget: Decimal, orders: Iterable[Order], traded_ms: int | None = None
) -> list[tuple[Order, Decimal]]:
    """What each order gets of a public trade: best price first, then the oldest, until the budget is used up.

    Args:
        price: the trade's price; only orders strictly beyond it take part.
        budget: base that may be filled altogether.
        orders: open orders, of one account or of several.
        traded_ms: when the trade happened, if known: orders that came later take no part.
    """
    through = [
        order
        for order in orders
        if order.price is not None
        and (price < order.price if order.side is Side.BUY else price > order.price)
        and (traded_ms is None or order.created_ms <= traded_ms)
    ]
    through.sort(key=lambda order: (-abs((order.price or ZERO) - price), order.order_id))
    shares: list[tuple[Order, Decimal]] = []
    for order in through:
        base = min(order.remaining, budget)
        if base <= 0:
            break
        shares.append((order, base))
        budget -= base
    return shares


class _Plan:
    """A change being worked out on copies."""

    def __init__(self, rules: TradingRules, balances: Mapping[str, Balance], order_id: int, trade_id: int) -> None:
        self._rules = rules
        self._before = balances
        self._after: dict[str, Balance] = {}
        self._steps: list[Step] = []
        self._next_order_id = order_id
        self._next_trade_id = trade_id

    def new_order_id(self) -> int:
        self._next_order_id += 1
        return self._next_order_id - 1

    def available(self, coin: str) -> Decimal:
        return self._balance(coin).available

    def _balance(self, coin: str) -> Balance:
        return self._after.get(coin) or self._before.get(coin) or Balance()

    def move(self, coin: str, available: Decimal = ZERO, frozen: Decimal = ZERO) -> None:
        """Book a movement of one coin.

        Raises:
            RejectedError: it would make a balance negative.
        """
        now = self._balance(coin)
        then = Balance(now.available + available, now.frozen + frozen)
        if then.available < 0 or then.frozen < 0:
            raise RejectedError(Reject.INSUFFICIENT_BALANCE, f"{coin}: {-available} needed, {now.available} available")
        self._after[coin] = then

    def record(self, order: Order, fill: Fill | None = None) -> Order:
        self._steps.append(Step(order, fill))
        return order

    def fill(self, order: Order, price: Decimal, base: Decimal, *, is_maker: bool, now_ms: int) -> Order:
        """Trade ``base`` of ``order`` at ``price``: pay from what is frozen, receive less the fee."""
        rules = self._rules
        quote = price * base
        rate = rules.maker_fee if is_maker else rules.taker_fee
        if order.side is Side.BUY:
            held = quote if order.price is None else order.price * base
            fee, fee_coin = base * rate, rules.base
            self.move(rules.quote, available=held - quote, frozen=-held)
            self.move(rules.base, available=base - fee)
        else:
            fee, fee_coin = quote * rate, rules.quote
            self.move(rules.base, frozen=-base)
            self.move(rules.quote, available=quote - fee)
        after = order.after(Status.PARTIALLY_FILLED, now_ms, base=base, quote=quote)
        if after.remaining <= 0:
            after = after.after(Status.FILLED, now_ms)
        trade = Fill(
            self._next_trade_id,
            order.order_id,
            order.client_id,
            order.side,
            order.order_type,
            price,
            base,
            quote,
            fee,
            fee_coin,
            is_maker,
            now_ms,
        )
        self._next_trade_id += 1
        return self.record(after, trade)

    def close(self, order: Order, reason: str, now_ms: int, status: Status = Status.CANCELLED) -> Order:
        """End an order and give back what it still held."""
        coin = self._rules.quote if order.side is Side.BUY else self._rules.base
        held = order.need
        self.move(coin, available=held, frozen=-held)
        return self.record(order.after(status, now_ms, reason=reason))

    def change(self) -> Change:
        return Change(tuple(self._steps), self._after, self._next_order_id, self._next_trade_id)


class MatchingEngine:
    """One account's orders on one pair.

    Args:
        rules: the pair's rules and fees.
        balances: the account at the start.
        open_orders: orders already resting; what they need must be frozen in ``balances``.
        numbers: the ids to give, shared by all engines of one exchange.
        participation: the share of a print's volume that fills may take, in (0, 1].

    Raises:
        ValueError: the frozen balances are not what the open orders need, or the participation is out of range.
    """

    def __init__(
        self,
        rules: TradingRules,
        balances: Mapping[str, Balance],
        open_orders: Iterable[Order] = (),
        *,
        numbers: Numbers | None = None,
        participation: Decimal = Decimal("0.25"),
    ) -> None:
        if not 0 < participation <= 1:
            raise ValueError(f"participation {participation} is not in (0, 1]")
        self.rules = rules
        self.participation = participation
        self._balances = dict(balances)
        self._open = {order.order_id: order for order in open_orders}
        self._by_client_id = {order.client_id: order.order_id for order in self._open.values()}
        self._numbers = numbers or Numbers()
        self._extremes: tuple[Decimal | None, Decimal | None] | None = None
        for coin in {rules.base, rules.quote, *self._balances}:
            needed, frozen = self.needed(coin), self.balance(coin).frozen
            if needed != frozen:
                raise ValueError(f"{coin}: {frozen} frozen, but the open orders need {needed}")

    @property
    def balances(self) -> Mapping[str, Balance]:
        """The account by coin."""
        return self._balances

    def balance(self, coin: str) -> Balance:
        """One coin, zero when never held."""
        return self._balances.get(coin, Balance())

    @property
    def open_orders(self) -> tuple[Order, ...]:
        """Resting orders, oldest first."""
        return tuple(self._open.values())

    def needed(self, coin: str) -> Decimal:
        """What the open orders hold of ``coin``."""
        with localcontext(_EXACT):
            side = {self.rules.quote: Side.BUY, self.rules.base: Side.SELL}.get(coin)
            return sum((order.need for order in self._open.values() if order.side is side), ZERO)

    def find(self, *, order_id: int | None = None, client_id: str | None = None) -> Order | None:
        """An open order by either id."""
        if order_id is None and client_id is not None:
            order_id = self._by_client_id.get(client_id)
        return None if order_id is None else self._open.get(order_id)

    def plan_place(self, request: OrderRequest, depth: Depth, now_ms: int) -> Change:
        """Place an order: rest it, trade it against ``depth`` as a taker, or cancel it.

        Post-only that would trade is cancelled; so is fill-or-kill that cannot be filled whole, and what
        immediate-or-cancel leaves over.

        Raises:
            RejectedError: the rules, the balance or the client id forbid it.
        """
        with localcontext(_EXACT):
            if request.client_id in self._by_client_id:
                raise RejectedError(Reject.DUPLICATE_CLIENT_ID, f"client order id {request.client_id} exists")
            opposite = depth.asks if request.side is Side.BUY else depth.bids
            self._check(request, opposite)
            plan = self._plan()
            order = Order(
                plan.new_order_id(),
                request.client_id,
                request.side,
                request.order_type,
                request.force,
                request.price if request.order_type is OrderType.LIMIT else None,
                request.size,
                ZERO,
                ZERO,
                Status.LIVE,
                "",
                now_ms,
                now_ms,
            )
            coin = self.rules.quote if order.side is Side.BUY else self.rules.base
            held = order.need
            plan.move(coin, available=-held, frozen=held)
            crosses = order.price is None or (bool(opposite) and not _beyond(order.side, order.price, opposite[0][0]))
            plan.record(order)
            if crosses and order.force is Force.POST_ONLY and order.order_type is OrderType.LIMIT:
                plan.close(order, "post_only_would_cross", now_ms)
            elif order.force is Force.FOK and self._within(order, opposite) < order.size:
                plan.close(order, "fok_cancel", now_ms)
            else:
                if crosses:
                    order = self._take(plan, order, opposite, now_ms)
                if order.order_type is OrderType.MARKET and order.status.is_open:
                    self._finish_market(plan, order, opposite[0][0], now_ms)
                elif order.force is Force.IOC and order.status.is_open:
                    plan.close(order, "ioc_cancel", now_ms)
            return plan.change()

    def plan_cancel(self, order_id: int, now_ms: int, reason: str = "normal_cancel") -> Change:
        """Cancel an open order.

        Raises:
            RejectedError: no such order is open.
        """
        with localcontext(_EXACT):
            order = self._open.get(order_id)
            if order is None:
                raise RejectedError(Reject.ORDER_NOT_FOUND, f"order {order_id} is not open")
            plan = self._plan()
            plan.close(order, reason, now_ms)
            return plan.change()

    def reaches(self, price: Decimal) -> bool:
        """Whether a public trade at ``price`` goes through any open order."""
        if self._extremes is None:
            self._extremes = self._find_extremes()
        highest_buy, lowest_sell = self._extremes
        return (highest_buy is not None and price < highest_buy) or (lowest_sell is not None and price > lowest_sell)

    def budget(self, size: Decimal) -> Decimal:
        """The base that orders may take of a public trade of ``size``."""
        return self.rules.floor_base(size * self.participation)

    def plan_print(self, price: Decimal, size: Decimal, now_ms: int, traded_ms: int | None = None) -> Change:
        """A public trade of ``size`` base at ``price``: fill what it printed through, best price and oldest first.

        ``traded_ms``: when it happened, if known: orders placed later do not fill.
        """
        if not self.reaches(price):
            return EMPTY
        with localcontext(_EXACT):
            shares = share_print(price, self.budget(size), self._open.values(), traded_ms)
        return self.plan_fills(shares, now_ms)

    def plan_fills(self, shares: Sequence[tuple[Order, Decimal]], now_ms: int) -> Change:
        """Fill open orders of this account at their own prices, as `share_print` says."""
        with localcontext(_EXACT):
            plan = self._plan()
            for order, base in shares:
                if order.price is not None:
                    plan.fill(order, order.price, base, is_maker=True, now_ms=now_ms)
            change = plan.change()
            return change if change else EMPTY

    def apply(self, change: Change) -> None:
        """Make a planned change true. It must be the latest one planned."""
        if not change:
            return
        self._balances.update(change.balances)
        self._numbers.next_order_id = change.next_order_id
        self._numbers.next_trade_id = change.next_trade_id
        for order in change.orders:
            if order.status.is_open:
                self._open[order.order_id] = order
                self._by_client_id[order.client_id] = order.order_id
            else:
                self._open.pop(order.order_id, None)
                self._by_client_id.pop(order.client_id, None)
        self._extremes = None

    def _plan(self) -> _Plan:
        return _Plan(self.rules, self._balances, self._numbers.next_order_id, self._numbers.next_trade_id)

    def _find_extremes(self) -> tuple[Decimal | None, Decimal | None]:
        """Prices of the highest buy and the lowest sell."""
        buys = [o.price for o in self._open.values() if o.side is Side.BUY and o.price is not None]
        sells = [o.price for o in self._open.values() if o.side is Side.SELL and o.price is not None]
        return max(buys, default=None), min(sells, default=None)

    def _check(self, request: OrderRequest, opposite: Sequence[Level]) -> None:
        rules = self.rules
        if request.order_type is OrderType.LIMIT:
            if request.price is None:
                raise RejectedError(Reject.NOT_POSITIVE, "a limit order needs a price")
            rules.check_price(request.price)
            rules.check_size(request.size, rules.step)
            rules.check_notional(request.price * request.size)
            if opposite:
                rules.check_band(request.side, request.price, opposite[0][0])
            return
        if not opposite:
            raise RejectedError(Reject.NO_LIQUIDITY, "the book is empty")
        if request.side is Side.BUY:
            rules.check_size(request.size, Decimal(1).scaleb(-rules.quote_precision))
            rules.check_notional(request.size)
        else:
            rules.check_size(request.size, rules.step)
            rules.check_notional(opposite[0][0] * request.size)

    def _within(self, order: Order, opposite: Sequence[Level]) -> Decimal:
        """The base that the book offers within an order's limit."""
        sizes = (size for price, size in opposite if order.price is None or not _beyond(order.side, order.price, price))
        return self.rules.floor_base(sum(sizes, ZERO))

    def _take(self, plan: _Plan, order: Order, opposite: Sequence[Level], now_ms: int) -> Order:
        for price, size in opposite:
            if not order.status.is_open or (order.price is not None and _beyond(order.side, order.price, price)):
                break
            wanted = order.remaining / price if order.is_market_buy else order.remaining
            base = self.rules.floor_base(min(size, wanted))
            if base <= 0:
                break
            order = plan.fill(order, price, base, is_maker=False, now_ms=now_ms)
        return order

    def _finish_market(self, plan: _Plan, order: Order, best: Decimal, now_ms: int) -> None:
        """A market order never rests: a remainder too small to trade is rounding, anything more found no liquidity."""
        is_rounding = order.is_market_buy and order.remaining < best * self.rules.step
        if is_rounding and order.filled_base:
            plan.close(order, "", now_ms, Status.FILLED)
        else:
            plan.close(order, "market_no_liquidity", now_ms)


def _beyond(side: Side, limit: Decimal, opposite: Decimal) -> bool:
    """Whether the opposite price is too bad for an order limited at ``limit``."""
    return opposite > limit if side is Side.BUY else opposite < limit
