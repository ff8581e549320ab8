"""Programs beside training and evaluation, run as `python -m tools.NAME`."""
