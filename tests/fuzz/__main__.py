"""`python -m fuzz`."""

from __future__ import annotations

from fuzz.campaign import main

if __name__ == "__main__":
    raise SystemExit(main())
