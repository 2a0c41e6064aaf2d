"""A terminal of some columns that understands what live recognition writes, and what stands on its screen then."""

from __future__ import annotations

import re
import unicodedata

TOKEN = re.compile(r"\x1b\[\d*[A-Za-z]|.", re.DOTALL)


class Screen:
    """Lines of letters; a letter of two columns is followed by an empty one."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows: list[list[str]] = [[]]
        self.column = 0

    def write(self, text: str) -> None:
        for token in TOKEN.findall(text):
            row = self.rows[-1]
            if token == "\n":
                self.rows.append([])
                self.column = 0
            elif token == "\r":
                self.column = 0
            elif token == "\x1b[K":
                del row[self.column :]
            elif token.startswith("\x1b"):
                assert token in ("\x1b[2m", "\x1b[0m"), f"an unknown control sequence {token!r}"
            elif unicodedata.category(token) in ("Mn", "Cf"):
                if row:
                    row[-1] += token
            else:
                cells = [token, ""] if unicodedata.east_asian_width(token) in "WF" else [token]
                if self.column + len(cells) > self.columns:  # the terminal goes on in the next line
                    self.rows.append([])
                    row, self.column = self.rows[-1], 0
                row[self.column : self.column + len(cells)] = cells
                self.column += len(cells)

    @property
    def lines(self) -> list[str]:
        return ["".join(row) for row in self.rows]
