"""Write a checkpoint of this project as a released file: half-precision weights and the settings, for predict.py.

python -m tools.release --checkpoint runs/release/last.pt --out mine.safetensors
"""

from collections.abc import Sequence

from networks.checkpoints import export_released
from networks.checkpoints.files import RELEASED
from utils.config import ArgumentParser
from utils.errors import UserError, run_cli


def main(arguments: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True, help="the last.pt or best.pt of a run")
    parser.add_argument("--out", required=True, help=f"file to write, {RELEASED}")
    parser.add_argument("--min-score", type=float, help="score below which predict.py calls a class absent")
    parser.add_argument("--mean-with", help="write the mean of its weights and of those of this checkpoint")
    options = parser.parse_args(arguments)
    if not options.out.endswith(RELEASED):
        raise UserError(f"--out {options.out}: the name must end in {RELEASED}")
    if options.min_score is not None and not 0 <= options.min_score <= 1:
        raise UserError(f"--min-score {options.min_score}: must lie between 0 and 1")
    size = export_released(options.checkpoint, options.out, options.min_score, options.mean_with)
    print(f"written: {options.out}, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    run_cli(main)
