"""Prometheus metrics from what bots leave behind on their VPS.

It reads registrations, CSV books, state files, logs and databases, and nothing else: it asks no bot, takes no lock, and
needs no Docker. Whatever a file holds, the other bots' metrics come out whole. Runs on the VPS's own Python (3.10 and
later) with ``prometheus_client`` from the distribution; imports inside the package are relative, EPP is on the path.
"""
