"""EPP inside Hummingbot: the controller, the runner and what connects them to an exchange."""
