"""Write a checkpoint of this project as a released file: half-precision weights and the settings, for predict.py.

python scripts/release.py --checkpoint runs/ccp_eop_kway_f1/best.pt --out data/released/lite0_ccp_toy.safetensors
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from networks.released import SUFFIX, export_released
from utils.config import ArgumentParser
from utils.errors import UserError, run_cli


def main(arguments: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True, help="the last.pt or best.pt of a run")
    parser.add_argument("--out", required=True, help=f"file to write, {SUFFIX}")
    parser.add_argument("--min-score", type=float, help="score below which predict.py calls a class absent")
    parser.add_argument("--background-offset", type=float, default=0.0, help="what to take off the background's logit")
    options = parser.parse_args(arguments)
    if not options.out.endswith(SUFFIX):
        raise UserError(f"--out {options.out}: the name must end in {SUFFIX}")
    size = export_released(options.checkpoint, options.out, options.min_score, options.background_offset)
    print(f"written: {options.out}, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    run_cli(main)
