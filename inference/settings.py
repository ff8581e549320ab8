"""What parsing goes by where nothing else is asked for; torch is not needed to read it."""

from pathlib import Path

DEFAULT_CHECKPOINT = str(Path(__file__).resolve().parents[1] / "data/released/aopnet_lite2_2.0.safetensors")
DEFAULT_SIZE = 512  # longest side that the network sees, for checkpoints whose evaluation took photos as they are
PEOPLE = ("off", "auto")  # whether persons are looked for
MIN_SCORE = 0.0  # for checkpoints on which no score of absent classes was measured
