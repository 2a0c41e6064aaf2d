"""Reports of runs as self-contained HTML pages: `write_report` for speech, `write_text_report` for text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechrnn.core.lazy import lazy_names

if TYPE_CHECKING:
    from speechrnn.reports.speech import write_report
    from speechrnn.reports.text import write_text_report

__all__ = ["write_report", "write_text_report"]

# The reports need torch and matplotlib, the tutorials' templates do not.
__getattr__ = lazy_names(__name__, {"speech": ["write_report"], "text": ["write_text_report"]})
