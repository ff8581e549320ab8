"""The command `python -m dataloaders.check NAME`; see `prepare/check.py`."""

from utils.errors import run_cli

from .prepare.check import main

if __name__ == "__main__":
    run_cli(main)
