"""The go-live gate: may this bot trade with money, and what says so?

A pure judge over evidence: the books, configuration and logs of a pair of bots, what the exchange tells of the live
account, and the marks that drills have left. The validation figures are :mod:`epp.report`'s.
"""
