"""What is measured: the core's decisions, and the replay beside Hummingbot's own backtesting."""
