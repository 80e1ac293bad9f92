"""The program `kontaktcenter`."""

from __future__ import annotations

import sys

from kontaktcenter.cli import app, run

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run())


if __name__ == "__main__":
    main()
