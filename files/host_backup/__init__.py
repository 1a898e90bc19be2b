"""Backup, restore and change of bots, on the VPS itself: restic and the standard library of Python 3.10."""
