"""What runs inside the bot image: Hummingbot's BacktestingEngineBase with a controller of the least that it takes."""
