"""Train EOPNet, or POPNet stage by stage, on the episodes of one data set and fold.

    python train.py --dataset ccp --fold 1 --way kway
    python train.py --dataset ccp --fold 1 --way kway --method pop
    torchrun --nproc_per_node 4 train.py --dataset atr --fold 1 --way kway

The defaults are the published settings. The run folder takes `last.pt`, `best.pt` (highest Human mIoU),
`settings.json`, `results.json` and TensorBoard logs; `--resume auto` goes on from `last.pt`. POPNet's stages 1 and 2
leave `stage1.pt` and `stage2.pt` behind, from which the next stage starts.
"""

from __future__ import annotations

import dataclasses
import signal
import time
from functools import partial
from pathlib import Path

import timm.layers
import torch
from torch.nn.parallel import DistributedDataParallel

import evaluate as evaluation
from dataloaders import catalog, visualize
from dataloaders.oshp_loader import EpisodeBatches, TestEpisodes, TrainEpisodes
from dataloaders.spec import DatasetSpec
from dataloaders.stages import FINE, stage_spec
from engine import report, resume
from engine.evaluation import EvaluationPlan, evaluate
from engine.optim import make_optimizer
from engine.settings import TrainSettings
from engine.training import Clock, Step, StopSignal, TrainPlan, objective, train_epoch
from engine.workers import make_loader, stops_held
from networks.batchnorm import synchronize
from networks.build import build_network
from networks.checkpoints import Checkpoint, initialise, save_run
from networks.checkpoints.files import revision
from networks.fast.depthwise import use_fast_depthwise_gradients
from utils import distributed
from utils.config import parse
from utils.device import choose_device, resolve_amp, seed_everything, tune
from utils.errors import UserError, run_cli
from utils.files import write_json
from utils.log import Board, percent

PICTURES = 4


def main() -> int | None:
    about = "Train EOPNet or POPNet on one data set and fold."
    return train(parse(TrainSettings, description=about))


def train(settings: TrainSettings) -> int | None:
    """Train to the end; returns an exit status when a signal stopped the run after its checkpoint was written."""
    device = choose_device(settings.device, distributed.start())
    with StopSignal() as stop:
        for stage in resume.stages_to_do(settings):
            run = Run(settings, device, stage)
            while run.epoch < settings.epochs:
                if not run.train_epoch(stop):
                    distributed.say(f"stopped; go on with --resume auto (checkpoint: {run.folder / 'last.pt'})")
                    return 128 + signal.SIGTERM
                run.finish_epoch()
            run.board.close()
            distributed.any_rank(False, device)  # wait until rank 0 has written what the next stage reads
    return None


def training_episodes(settings: TrainSettings, spec: DatasetSpec, root: Path, stage: int = FINE) -> TrainEpisodes:
    """The training episodes that the settings describe, with their share of the memory for decoded photos."""
    episodes = TrainEpisodes(
        spec,
        root,
        fold=settings.fold,
        way=settings.way,
        crop_size=settings.crop_size,
        scale=settings.scale,
        resample_supports=settings.resample_supports,
        seed=settings.seed,
        stage=stage,
        unlabelled_person=settings.unlabelled_person,
    )
    episodes.split.keep_decoded(settings.cache_mb * 2**20 // max(settings.workers, 1))
    return episodes


class Run:
    """One training run, of one stage: what it is made of, and where it stands (`epoch` and `batch` are next to do)."""

    def __init__(self, settings: TrainSettings, device: torch.device, stage: int) -> None:
        self.settings, self.device, self.stage, self.folder = settings, device, stage, settings.folder()
        self.amp = resolve_amp(settings.amp, device)
        spec = catalog.load(settings.dataset)
        root = catalog.locate(spec, settings.data_root)
        self.spec = stage_spec(spec, stage)
        self.base = self.spec.base_classes(settings.fold)
        seed_everything(settings.seed)
        self.episodes = training_episodes(settings, spec, root, stage)
        self.tests = TestEpisodes(spec, root, way=settings.way, stage=stage)
        world = distributed.world_size()
        self.batches = EpisodeBatches(
            self.episodes, settings.batch_size, seed=settings.seed, rank=distributed.rank(), world=world
        )
        if len(self.episodes) < settings.batch_size * world:
            raise UserError(
                f"{root}: {len(self.episodes)} training episodes do not fill a batch of "
                f"{settings.batch_size} x {world}; lower --batch-size"
            )
        if settings.level == "high" and settings.batch_size * world < 2:
            raise UserError(
                "--batch-size 1: the high feature level normalises one pixel a photo, so it needs 2 or more"
            )
        # The workers live through the epochs; every draw follows from (seed, epoch, index), so none is stale.
        self.loader = make_loader(
            self.episodes, settings.workers, device, batch_sampler=self.batches, persistent_workers=settings.workers > 0
        )
        self.epoch = self.batch = self.seen = 0
        self.best, self.history = -1.0, []
        saved = resume.saved_run(settings)
        saved = saved if saved and saved.stage == stage else None
        notes = self._build(saved is None)
        self.network.to(device)
        self.optimizer = make_optimizer(
            self.network,
            settings.lr,
            settings.head_lr_scale,
            settings.momentum,
            settings.weight_decay,
            settings.npm_lr_scale,
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.amp == "fp16")
        if saved:
            self._restore(saved)
        use_fast_depthwise_gradients(self.network)
        tune(self.network, device, settings.channels_last, settings.compile)
        self.parallel = self._parallel()
        self.plan = TrainPlan(
            settings.epochs, len(self.batches), settings.lr, settings.power, device, settings.accumulate, self.amp
        )
        self._introduce(notes)
        self.board = Board(self.folder, self._step(), enabled=distributed.rank() == 0)
        self.clock = Clock(self._step(), self.earlier_steps + settings.epochs * self.plan.epoch_steps)
        self.saved_at = time.monotonic()

    def _build(self, fresh: bool) -> list[str]:
        """Make the network, with weights to start from if it is to be `fresh`; returns what to tell the user."""
        previous, self.earlier_steps = None, 0
        if self.settings.method == "pop" and self.stage > 1:
            finished = resume.finished_stage(self.settings, self.stage - 1)
            previous, self.earlier_steps = finished.build(), finished.record["steps"]
        self.network = build_network(self.spec.num_slots, self.settings.way, self.settings, previous)
        if not fresh:
            return [f"going on from {self.folder / 'last.pt'}"]
        self.network.npm.set_threshold(self.settings.npm_threshold)
        if previous is None:
            return initialise(self.network, self.settings.pretrained)
        self.network.start_from_previous()
        return [f"stage {self.stage} starts from {finished.path}"]

    def train_epoch(self, stop: StopSignal) -> bool:
        """Train the rest of the epoch. Returns False when `stop` was asked; the checkpoint is then written."""
        drawn = self.epoch  # the stages of POPNet draw different episodes
        if self.settings.method == "pop":
            drawn += (self.stage - 1) * self.settings.epochs
        self.episodes.set_epoch(drawn)
        self.batches.set_epoch(drawn, start_batch=self.batch)
        with stops_held():
            batches = iter(self.loader)
        self.sums: dict[str, float] = {}
        return train_epoch(
            self.parallel,
            objective(self.settings, self.epoch),
            batches,
            self.optimizer,
            self.scaler,
            self.plan,
            self.epoch,
            self.batch,
            partial(self._after_step, stop),
        )

    def finish_epoch(self) -> None:
        """Move to the next epoch; evaluate when it is time, and write the checkpoints."""
        done = self.epoch
        means = {name: value / max(self.seen, 1) for name, value in self.sums.items()}
        self.epoch, self.batch, self.seen = done + 1, 0, 0
        told = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
        distributed.say(f"epoch {done} of {self.settings.epochs}: {told}; time left {self.clock.left(self._step())}")
        every = self.settings.eval_every
        if self.epoch == self.settings.epochs or (every and self.epoch % every == 0):
            self._evaluate(done)
        if self.epoch == self.settings.epochs and self.stage < resume.LAST_STAGE:
            self._save(resume.stage_name(self.stage), done)
        self._save("last.pt", done)

    def _after_step(self, stop: StopSignal, step: Step) -> bool:
        self.batch += step.batches
        self.seen += 1
        for name, value in step.losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.board.scalars("loss", step.losses, self.earlier_steps + step.number)
        self.board.scalars("optimiser", {"lr": step.lr}, self.earlier_steps + step.number)
        stopping = distributed.any_rank(stop.asked, self.device)
        # The end of an epoch saves anyway, and decides whether there is an evaluation to do before.
        if self.batch < len(self.batches) and (stopping or self._save_due()):
            self._save("last.pt", self.epoch)
        return not stopping or self.batch == len(self.batches)

    def _save_due(self) -> bool:
        due = time.monotonic() - self.saved_at > 60 * self.settings.save_minutes
        return distributed.any_rank(due, self.device) if distributed.is_distributed() else due

    def _evaluate(self, epoch: int) -> None:
        picked = evaluation.evenly_spaced(len(self.tests.pairs), PICTURES)
        plan = EvaluationPlan(
            epoch,
            self.spec.classes,
            self.base,
            self.device,
            self.settings.test_size,
            amp=self.amp,
            workers=self.settings.workers,
            keep=picked,
        )
        scored = evaluate(self.network, self.tests, plan)
        figures = scored.figures["npm"]
        scores = {name: figures[name] for name in ("human", "base", "novel") if figures[name] == figures[name]}
        scores["foreground"] = scored.foreground["mean"]
        self.history.append({"epoch": epoch, **scores})
        distributed.say(
            f"epoch {epoch}: " + ", ".join(f"{name} {percent(value)}" for name, value in scores.items()) + " mIoU %"
        )
        self.board.scalars("mIoU", scores, self._step())
        if distributed.rank() == 0:
            pictures = [evaluation.picture(self.spec, self.tests, n, p.numpy()) for n, p in scored.predictions.items()]
            self.board.picture("support, labels, query, prediction, truth", visualize.stack(pictures), self._step())
            names = {c: self.spec.class_name(c) for c in self.spec.classes}
            about = report.results(
                scored, names, self.spec.novel(self.settings.fold), None, epoch=epoch, history=self.history
            )
            last = self.stage == resume.LAST_STAGE
            write_json(self.folder / ("results.json" if last else f"stage{self.stage}_results.json"), about)
        if figures["human"] > self.best:
            self.best = figures["human"]
            if self.stage == resume.LAST_STAGE:
                self._save("best.pt", epoch)

    def _save(self, name: str, trained_epoch: int) -> None:
        self.saved_at = time.monotonic()
        if distributed.rank() > 0:
            return
        self.board.flush()
        save_run(
            self.folder / name,
            self.network,
            {
                "settings": dataclasses.asdict(self.settings),
                "num_slots": self.spec.num_slots,
                "class_names": {c: self.spec.class_name(c) for c in self.spec.classes},
                "stage": self.stage,
                "trained_epoch": trained_epoch,
                "steps": self._step(),
                "world": distributed.world_size(),
                "position": {"epoch": self.epoch, "batch": self.batch},
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "rng": resume.rng_state(),
                "best": self.best,
                "history": self.history,
                "revision": revision(),
            },
        )

    def _restore(self, saved: Checkpoint) -> None:
        try:
            record = saved.record
            self.network.load_state_dict(saved.weights)
            self.optimizer.load_state_dict(record["optimizer"])
            self.scaler.load_state_dict(record["scaler"])
            resume.set_rng_state(record["rng"])
            self.epoch, self.batch = record["position"]["epoch"], record["position"]["batch"]
            self.best, self.history = record["best"], record["history"]
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise UserError(
                f"{self.folder / 'last.pt'}: does not fit this run ({str(error).splitlines()[0]}); move it away"
            ) from error

    def _parallel(self) -> torch.nn.Module:
        if not distributed.is_distributed():
            return self.network
        ids = None
        if self.device.type == "cuda":
            ids = [self.device.index]
            self.network = timm.layers.convert_sync_batchnorm(self.network)
        else:
            synchronize(self.network)
        return DistributedDataParallel(self.network, device_ids=ids, broadcast_buffers=False)

    def _step(self) -> int:
        """Steps done, those of earlier stages with them."""
        return self.earlier_steps + self.plan.step(self.epoch, self.batch)

    def _introduce(self, notes: list[str]) -> None:
        settings, world = self.settings, distributed.world_size()
        parameters = sum(p.numel() for p in self.network.parameters())
        if distributed.rank() == 0:
            write_json(self.folder / "settings.json", dataclasses.asdict(settings))
        distributed.say(
            *notes,
            f"{self.spec.title} fold {settings.fold}, {settings.way}: {len(self.episodes)} episodes, "
            f"{len(self.tests.pairs)} test pairs",
            f"{settings.encoder}, {parameters / 1e6:.1f} M parameters, on {self.device}, mixed precision {self.amp}; "
            f"revision {revision() or 'unknown'}",
            f"batch {settings.batch_size} x {world} x {settings.accumulate}, lr {settings.lr:g}, "
            f"{settings.epochs * self.plan.epoch_steps} steps in {settings.epochs} epochs; run folder {self.folder}",
        )


if __name__ == "__main__":
    run_cli(main)
