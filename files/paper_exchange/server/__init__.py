"""Bitget's spot v2 API over TLS in front of the matching engine, with durable books and faults on demand."""
