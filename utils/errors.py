"""Errors of the user's input, told in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable


class UserError(Exception):
    """Bad input: the message is one line that names the file, what is wrong and the remedy."""

    def __init__(self, message: str) -> None:
        # A loader process hands its error over with the traceback in the message; the user is told the line alone.
        super().__init__(message.rpartition("UserError: ")[2].strip())


def run_cli(main: Callable[[], int | None]) -> None:
    """Run `main` and exit with its status; a `UserError` becomes one line on stderr and exit status 2.

    Programming errors keep their traceback.
    """
    try:
        status = main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        status = 130
    sys.exit(status or 0)
