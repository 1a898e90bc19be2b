"""Replay: the same core over recorded data, on the same matching engine as the paper exchange."""
