"""Train EOPNet, AOPNet, or POPNet stage by stage, on one data set and fold.

    python train.py --dataset ccp --fold 1 --way kway
    python train.py --dataset ccp --fold 1 --way kway --method pop
    python train.py --dataset ccp --fold 1 --way kway --method aop @scripts/aop.args
    torchrun --nproc_per_node 4 train.py --dataset atr --fold 1 --way kway

The defaults are the papers' settings. The run folder takes `last.pt`, `best.pt` (highest Human mIoU on the
validation list, where the set has one), `settings.json`, `results.json` and TensorBoard logs; `--resume auto` goes on
from `last.pt`. POPNet's stages 1 and 2 leave `stage1.pt` and `stage2.pt` behind, from which the next stage starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from utils.errors import interrupts_held, run_cli

if TYPE_CHECKING:
    from engine.settings import TrainSettings


def main() -> int | None:
    """The command line."""
    with interrupts_held():  # an import that is interrupted ends in errors of its own
        from engine.settings import TrainSettings
        from utils.config import parse

    return train(parse(TrainSettings, description="Train EOPNet, POPNet or AOPNet on one data set and fold."))


def train(settings: TrainSettings) -> int | None:
    """Train to the end; returns an exit status when a signal stopped the run after its checkpoint was written."""
    # torch takes seconds to import: --help, --dry-run and mistakes need not wait for it
    with interrupts_held():
        from engine import resume
        from engine.run import Run
        from engine.stopping import StopSignal
        from utils import distributed
        from utils.device import choose_device
        from utils.locks import locked

    device = choose_device(settings.device, distributed.start())
    with locked(settings.folder(), distributed.rank() == 0), StopSignal() as stop:
        stages = resume.stages_to_do(settings)
        if not stages:
            distributed.say(f"{settings.folder()}: stage {settings.stage} is done, so there is nothing to train")
        for stage in stages:
            run = Run(settings, device, stage)
            while not run.finished:
                if not run.train_epoch(stop):
                    distributed.say(f"stopped; go on with --resume auto (checkpoint: {run.folder / 'last.pt'})")
                    return 128 + stop.number
            run.board.close()
            distributed.any_rank(False, device)  # wait until rank 0 has written what the next stage reads
    return None


if __name__ == "__main__":
    run_cli(main)
