"""The one place that turns EPP's CSV books into validation figures.

Replay, the go-live gate, the exporter and ``status`` call :func:`figures_of`; nobody computes these figures twice. Only
the standard library is imported.
"""

from .books_reader import BookError, FillRow, MinuteRow, read_fills, read_minutes
from .figures import Figures, UnavailableError, Validation, figures_of
from .text import as_text

__all__ = [
    "BookError",
    "Figures",
    "FillRow",
    "MinuteRow",
    "UnavailableError",
    "Validation",
    "as_text",
    "figures_of",
    "read_fills",
    "read_minutes",
]
