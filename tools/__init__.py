"""Programs beside training and evaluation, run as `python -m tools.NAME`."""

import utils  # noqa: F401  # first of all: it says how long threads spin, and torch asks once
