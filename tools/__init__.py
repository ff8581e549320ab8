"""Programs beside training and evaluation, run as `python -m tools.NAME`."""

import utils as utils  # before torch, see there
