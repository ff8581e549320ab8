"""What each departure of the published training costs or gives (docs/method.md, D1 to D5 and D15).

    python -m tools.ablation                    # CCP-OS, fold 1, both ways, three seeds: many hours on a CPU
    python -m tools.ablation --ways kway --seeds 0 --variants none published
    python -m tools.ablation --table            # of what is done

Trains and evaluates each variant at the budget of a recipe, one after another; what is done is not done again, and a
training that was stopped goes on. Prints the mean of NPM's figures over the seeds, and the spread.
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from utils.config import ArgumentParser
from utils.constants import WAYS
from utils.errors import UserError, run_cli
from utils.files import read_json
from utils.log import table

ROOT = Path(__file__).resolve().parents[1]
# A network whose scalars of NPM are drawn at random must learn them, which the short recipes do not allow.
LEARN_NPM = "--npm-lr-scale=1"
VARIANTS = {
    "none": [],
    "steps": ["--schedule=steps"],
    "kaiming": ["--kaiming-init", LEARN_NPM],
    "running-mean": ["--coarse-running-mean"],
    "background-pass": ["--coarse-background-pass"],
    "padding": ["--padding-in-prototypes"],
    "mixed": ["--mixed-batches"],
    "published": ["@scripts/published.args", LEARN_NPM, "--eval-every=0", "--keep-every=0"],
}
ONE_WAY = ("padding", "mixed")  # do nothing in k-way
FIGURES = ("human", "base", "novel")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = ArgumentParser(prog="python -m tools.ablation", description=__doc__.splitlines()[0])
    options.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS, help="(default: both)")
    options.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), help="(default: all)")
    options.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="(default: 0 1 2)")
    options.add_argument("--fold", default="1", help="(default: %(default)s)")
    options.add_argument("--recipe", default="scripts/ccp_medium.args", help="options of a run (default: %(default)s)")
    options.add_argument("--folder", type=Path, default=Path("runs/ablation"), help="(default: %(default)s)")
    options.add_argument("--table", action="store_true", help="print the table of what is done, and train nothing")
    chosen = options.parse_args(arguments)
    runs = [
        (way, variant, seed)
        for seed in chosen.seeds
        for way in chosen.ways
        for variant in chosen.variants
        if way == "1way" or variant not in ONE_WAY
    ]
    for way, variant, seed in () if chosen.table else runs:
        run(chosen.folder / f"{way}_{variant}_s{seed}", way, variant, seed, chosen)
    print(text(chosen.folder, chosen.ways, chosen.variants))


def run(folder: Path, way: str, variant: str, seed: int, options: argparse.Namespace) -> None:
    """Train a variant and evaluate it on the test list, as far as that is not done."""
    if (folder / "test" / "results.json").exists():
        return
    train = [
        "train.py",
        "--dataset=ccp",
        f"--way={way}",
        f"--fold={options.fold}",
        f"@{options.recipe}",
        *VARIANTS[variant],
    ]
    if way == "1way":
        train.append("--unlabelled-person=background")
    train += [f"--seed={seed}", f"--run-dir={folder}", "--resume=auto"]
    evaluate = ["evaluate.py", "--checkpoint", str(folder / "last.pt"), "--output", str(folder / "test")]
    for program, *rest in (train, evaluate):
        start(folder, f"{program} {' '.join(rest)}", [ROOT / program, *rest])


def start(folder: Path, what: str, arguments: Sequence[str | Path]) -> None:
    """Run Python with the arguments, for the run in `folder`; `what` tells people what that is, the program first."""
    print(f"\n{folder.name}: {what}", flush=True)
    if subprocess.run([sys.executable, *arguments], cwd=ROOT).returncode:
        program = what.split()[0]
        raise UserError(f"{folder}: {program} did not end well, see above; the same command goes on from there")


def text(folder: Path, ways: Sequence[str], variants: Sequence[str]) -> str:
    """A Markdown table: mean and spread (largest minus smallest) over the seeds that are done."""
    rows = []
    for way in ways:
        for variant in variants:
            paths = sorted(folder.glob(f"{way}_{variant}_s*/test/results.json"))
            done = [read_json(path)["figures"]["npm"] for path in paths]
            cells = []
            for name in FIGURES if done else ():
                values = [one[name] for one in done]
                spread = f" ({max(values) - min(values):.1f})" if len(values) > 1 else ""
                cells.append(f"{statistics.mean(values):.1f}{spread}")
            if done:
                rows.append([way, variant, str(len(done)), *cells])
    return table(["way", "as published", "seeds", *(f"{name} mIoU %" for name in FIGURES)], rows)


if __name__ == "__main__":
    run_cli(main)
