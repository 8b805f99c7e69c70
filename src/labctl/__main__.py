"""`python -m labctl`, for machines where another program is called labctl."""

from __future__ import annotations

import sys

from labctl.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
