"""What each part of AOPNet's training gives: short trainings without it, on the validation list.

    python -m tools.ablation_aop                               # fold 1 of CCP-OS, all variants: hours on a CPU
    python -m tools.ablation_aop --variants none double --seeds 0 1 2
    python -m tools.ablation_aop --table                       # of what is done

Some parts are options of train.py; the others are constants, which are changed for the one training. What is done is
not done again, and a training that was stopped goes on. Prints each variant's figures less those of the whole training,
with their 95 % intervals over the query photos.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.config import ArgumentParser
from utils.errors import run_cli

from .ablation import start
from .side_by_side import side_by_side

WHOLE = "none"  # the variant that leaves nothing out


@dataclass(frozen=True)
class Variant:
    """Options of train.py that come last, and constants of modules, "module.NAME", with other values."""

    options: tuple[str, ...] = ()
    constants: tuple[tuple[str, object], ...] = ()


VARIANTS = {
    WHOLE: Variant(),
    "double": Variant(("--epochs=12",)),
    "384": Variant(("--crop-size", "384", "256", "--test-size=384")),
    "lite0": Variant(("--encoder=tf_efficientnet_lite0",)),
    "contrast": Variant(constants=(("networks.aop_losses.CONTRAST", 0.0),)),
    "closed": Variant(constants=(("networks.aop_losses.CLOSED", 0.0),)),
    "place": Variant(constants=(("networks.aopnet.PLACE_WEIGHT", 0.0),)),
    "unsupported": Variant(constants=(("networks.aop_losses.UNSUPPORTED", 1.0),)),
    "single": Variant(constants=(("networks.aopnet.SUPPORTS", (1, 1, 1)),)),
    "bank": Variant(constants=(("networks.aopnet.BLENDED", 0.0),)),
    "balance": Variant(("--balance=0",)),
    "one-pseudo": Variant(("--pseudo-classes=1",)),
    "question": Variant(("--presence-by=question",)),
    "colours": Variant(constants=(("dataloaders.recolouring.PLAIN", 1.0),)),
    "garments": Variant(constants=(("dataloaders.recolouring.GARMENT", 0.0),)),
    "zoom": Variant(("--zoom", "0.9", "1.1")),
    "decay": Variant(("--weight-decay=0.01",)),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = ArgumentParser(prog="python -m tools.ablation_aop", description=(__doc__ or "").splitlines()[0])
    options.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), help="(default: all)")
    options.add_argument("--seeds", nargs="+", type=int, default=[0], help="(default: 0)")
    options.add_argument("--fold", type=int, default=1, help="(default: %(default)s)")
    options.add_argument("--recipe", default="scripts/aop_ablation.args", help="options of all (default: %(default)s)")
    options.add_argument("--folder", type=Path, default=Path("runs/ablation_aop"), help="(default: %(default)s)")
    options.add_argument("--table", action="store_true", help="print the tables of what is done, and train nothing")
    chosen = options.parse_args(arguments)
    for seed in () if chosen.table else chosen.seeds:
        for name in chosen.variants:
            run(folder_of(chosen.folder, name, seed), VARIANTS[name], chosen.recipe, chosen.fold, seed)
    for seed in chosen.seeds:
        paths = [folder_of(chosen.folder, name, seed) / "val" / "results.json" for name in (WHOLE, *chosen.variants)]
        done = list(dict.fromkeys(str(path) for path in paths if path.exists()))
        if done:
            print(f"\nseed {seed}\n\n{side_by_side(done)}")


def folder_of(folder: Path, name: str, seed: int) -> Path:
    """Where a variant's training goes."""
    return folder / f"{name}_s{seed}"


def run(folder: Path, variant: Variant, recipe: str, fold: int, seed: int) -> None:
    """Train a variant and evaluate it on the validation list, as far as that is not done."""
    if (folder / "val" / "results.json").exists():
        return
    common = ("--dataset=ccp", "--method=aop", "--way=kway", f"--fold={fold}", f"@{recipe}")
    train = (*common, *variant.options, f"--seed={seed}", f"--run-dir={folder}", "--resume=auto")
    evaluate = ("--checkpoint", str(folder / "last.pt"), "--split=val", "--output", str(folder / "val"))
    for program, rest in (("train", train), ("evaluate", evaluate)):
        what = f"{program}.py {' '.join(rest)} {dict(variant.constants) or ''}"
        start(folder, what, ["-c", code(program, variant), *rest])


def code(program: str, variant: Variant) -> str:
    """Python that runs a program with the variant's constants."""
    lines = [f"import {program}, utils.errors"]
    for name, value in variant.constants:
        module = name.rpartition(".")[0]
        lines += [f"import {module}", f"assert hasattr({module}, {name.rpartition('.')[2]!r})", f"{name} = {value!r}"]
    return "\n".join([*lines, f"utils.errors.run_cli({program}.main)"])


if __name__ == "__main__":
    run_cli(main)
