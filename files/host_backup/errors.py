"""What the operator must know."""

from __future__ import annotations


class BackupError(Exception):
    """Something was refused or failed; the message names it and the fix. What was there before is untouched."""
