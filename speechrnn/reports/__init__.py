"""Reports of runs as self-contained HTML pages: `write_report` for speech, `write_text_report` for text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speechrnn.reports.speech import write_report
    from speechrnn.reports.text import write_text_report

__all__ = ["write_report", "write_text_report"]


def __getattr__(name: str) -> Any:
    """Import on first use: the reports need torch and matplotlib, the tutorials' templates do not."""
    if name == "write_report":
        from speechrnn.reports.speech import write_report

        return write_report
    if name == "write_text_report":
        from speechrnn.reports.text import write_text_report

        return write_text_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
