"""What makes the same numbers quicker, and nothing else.

Every trick can be switched off here; then the plain form runs: `switches.shared_gains = False`. Tests compare both.
"""

from dataclasses import dataclass


@dataclass
class Switches:
    """Which tricks are in use; they are asked at each call."""

    cells: bool = True  # label maps of large photos, computed where classes meet
    depthwise_gradients: bool = True  # of depthwise convolutions on the CPU, put together from fast ones
    folding: bool = True  # BatchNorm taken into the convolutions before it, for networks that only parse
    shared_gains: bool = True  # one feature under many gains: its products with the filters are shared


switches = Switches()
