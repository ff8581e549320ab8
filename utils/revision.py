"""Which state of the code is running."""

from __future__ import annotations

import subprocess
from pathlib import Path


def revision() -> str:
    """The git revision of the code, with `+` for uncommitted changes; empty outside a git checkout."""
    command = ["git", "describe", "--always", "--dirty=+"]
    folder = Path(__file__).parent
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, cwd=folder, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
