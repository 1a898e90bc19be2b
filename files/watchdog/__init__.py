"""The watchdog: a kill switch beside a bot, with an API key of its own, that does not need the bot to work.

It reads the bot's heartbeat and the exchange's own lists, and trips when the bot is silent or has left its limits. Then
it latches, which stops the bot's container, cancels the bot's orders and proves that none is left. It needs nothing but
Python's standard library, so that no fault of Hummingbot or of a package can reach it.
"""
