"""The journal: everything that entered the core and came out of it, so that every decision can be made again."""
