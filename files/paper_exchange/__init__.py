"""A Bitget-compatible spot exchange for paper trading: real API, real signatures, paper money."""
