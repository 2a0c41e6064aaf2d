"""`python -m chaos`."""

from __future__ import annotations

from chaos.campaign import main

if __name__ == "__main__":
    raise SystemExit(main())
