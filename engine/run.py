"""One training run: what it is made of, where it stands, and what it leaves in its folder."""

import dataclasses
import time
from typing import cast

import torch

from dataloaders import catalog, visualize
from dataloaders.oshp_loader import TestEpisodes
from dataloaders.spec import VAL
from dataloaders.stages import stage_spec
from dataloaders.training_photos import TrainingPhotos
from networks.base import OneShotNetwork
from networks.build import build_network
from networks.checkpoints import Checkpoint, initialise, save_run
from networks.fast.depthwise import use_fast_depthwise_gradients
from networks.layers import kaiming_init
from networks.popnet import POPNet
from utils import distributed
from utils.constants import STAGES
from utils.device import resolve_amp, seed_everything, tune
from utils.errors import UserError
from utils.files import write_json
from utils.log import Board, percent, revision

from . import digests, report, resume
from .evaluation import Evaluation, evaluate
from .optim import CLIP, averaged, begin_epoch, make_optimizer, make_schedule
from .progress import Clock, Learning, Progress, progress_bar
from .settings import TrainSettings
from .stopping import StopSignal
from .training import (
    Step,
    Trainer,
    in_parallel,
    objective_of,
    training_batches,
    training_episodes,
)
from .workers import stops_held

PICTURES = 4


class Run:
    """A run, or one stage of POPNet's.

    Raises `UserError` for settings that do not fit the data, and for a run folder that holds another run.
    """

    def __init__(self, settings: TrainSettings, device: torch.device, stage: int = STAGES) -> None:
        self.settings, self.device, self.stage, self.folder = settings, device, stage, settings.folder()
        spec = catalog.load(settings.dataset)
        root = catalog.locate(spec, settings.data_root)
        self.spec = stage_spec(spec, stage)
        self.class_names = self.spec.class_names
        self.novel = [self.class_names[c] for c in self.spec.novel(settings.fold)]
        saved = resume.saved_run(settings)
        saved = saved if saved and saved.stage == stage else None
        seed_everything(settings.seed)
        sorting = saved.record.get("sorting") if saved else None
        self.episodes = training_episodes(settings, spec, root, device, stage, sorting)
        # What chooses among checkpoints is never the test list.
        split = VAL if self.episodes.held_out else "test"
        self.tests = TestEpisodes(spec, root, way=settings.way, stage=stage, longest=settings.test_size, split=split)
        self.batches, self.loader = training_batches(settings, self.episodes, device)
        self.progress = Progress()
        self.fresh = saved is None  # until it writes its first checkpoint or results
        self.network, self.earlier_steps, notes = self._network(self.fresh)
        self.network.to(device)
        use_fast_depthwise_gradients(self.network)
        tune(self.network, device, settings.channels_last, settings.compile)
        self.trainer = self._trainer(saved)
        self._introduce(notes)
        self.board = Board(self.folder, self.steps_done, enabled=distributed.rank() == 0)
        self.clock = Clock(self.steps_done, self.earlier_steps + settings.epochs * self.epoch_steps)
        self.saved_at = time.monotonic()

    @property
    def epoch_steps(self) -> int:
        """Steps in an epoch."""
        return -(-len(self.batches) // self.settings.accumulate)

    @property
    def steps_done(self) -> int:
        """Steps done, those of earlier stages with them."""
        return self.earlier_steps + self.progress.epoch * self.epoch_steps + self._steps_in_epoch

    @property
    def _steps_in_epoch(self) -> int:
        return -(-self.progress.batch // self.settings.accumulate)

    @property
    def result(self) -> OneShotNetwork:
        """What is evaluated and saved: the network, or the mean of its last steps."""
        averaged = self.learning.averaged
        return self.network if averaged is None else cast(OneShotNetwork, averaged.module)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.progress.epoch == self.settings.epochs

    def train_epoch(self, stop: StopSignal) -> bool:
        """Train the rest of the epoch. False when `stop` was asked before its end; the checkpoint is then written."""
        epoch = drawn = self.progress.epoch  # the stages of POPNet draw different episodes
        if self.settings.method == "pop":
            drawn += (self.stage - 1) * self.settings.epochs
        self.episodes.set_epoch(drawn)
        self.batches.set_epoch(drawn, start_batch=self.progress.batch)
        if not self.progress.batch:
            begin_epoch(self.trainer.optimizer, self.settings, epoch)
        with stops_held():
            batches = iter(self.loader)
        with progress_bar(epoch, self.epoch_steps, self._steps_in_epoch) as bar:
            for step in self.trainer.steps(batches, objective_of(self.settings, epoch), epoch, bar):
                self._count(step)
                stopping = distributed.any_rank(stop.asked, self.device)
                # The end of an epoch saves anyway, but an evaluation comes before, which may take long.
                at_end = self.progress.batch == len(self.batches)
                if stopping or (self._evaluation_due() if at_end else self._save_due()):
                    self._save("last.pt", epoch)
                if stopping:
                    return False
        self._finish_epoch()
        return True

    def _count(self, step: Step) -> None:
        """Take note of a step that is done."""
        number = self.steps_done
        self.board.scalars("loss", step.losses, number)
        self.board.scalars("optimiser", {"lr": step.lr}, number)
        self.progress.count(step.batches, step.losses)

    def _finish_epoch(self) -> None:
        """Move to the next epoch; evaluate when it is time, and write the checkpoints."""
        done, evaluation_due = self.progress.epoch, self._evaluation_due()
        means = ", ".join(f"{name} {value:.3f}" for name, value in self.progress.next_epoch().items())
        distributed.say(
            f"epoch {done} of {self.settings.epochs}: {means}; time left {self.clock.left(self.steps_done)}"
        )
        if evaluation_due:
            self._evaluate(done)
        if self.finished and self.stage < STAGES:
            self._save(resume.stage_name(self.stage), done)
        keep = self.settings.keep_every
        if keep and self.progress.epoch % keep == 0 and self.stage == STAGES:
            self._save(f"epoch_{done}.pt", done)
        self._save("last.pt", done)

    def _evaluation_due(self) -> bool:
        """Whether the epoch under way ends with an evaluation."""
        done, every = self.progress.epoch + 1, self.settings.eval_every
        return done == self.settings.epochs or bool(every and done % every == 0)

    def _evaluate(self, epoch: int) -> None:
        evaluation = evaluate(
            self.result,
            self.tests,
            self.spec.base_classes(self.settings.fold),
            self.device,
            use_bank=self.network.bank_in_use(epoch),
            amp=self.trainer.amp,
            workers=self.settings.workers,
            keep=report.evenly_spaced(len(self.tests.pairs), PICTURES),
        )
        self.progress.scored_on = digests.of_evaluation(self.tests, evaluation.labels_digest)
        figures = evaluation.figures["npm"]
        named = {"human": figures.human, "base": figures.base, "novel": figures.novel}
        scores = {name: value for name, value in named.items() if value == value}
        scores["foreground"] = evaluation.foreground["mean"]
        self.progress.history.append({"epoch": epoch, **scores})
        values = ", ".join(f"{name} {percent(value)}" for name, value in scores.items())
        distributed.say(f"epoch {epoch}: {values} mIoU %")
        self.board.scalars("mIoU", scores, self.steps_done)
        if distributed.rank() == 0:
            self._report(evaluation, epoch)
        if self.episodes.held_out and figures.human > self.progress.best:
            self.progress.best = figures.human
            if self.stage == STAGES:
                self._save("best.pt", epoch)

    def _report(self, evaluation: Evaluation, epoch: int) -> None:
        """Pictures for the board, and the results as a file."""
        self._take_folder()
        pictures = [report.episode_picture(self.tests, n, p.numpy()) for n, p in evaluation.predictions.items()]
        self.board.picture("support, labels, query, prediction, truth", visualize.stack(pictures), self.steps_done)
        facts = {"precision": self.trainer.amp, "epoch": epoch, "history": self.progress.history}
        results = report.results(evaluation, self.spec, self.settings.fold, None, **self.progress.scored_on, **facts)
        name = "results.json" if self.stage == STAGES else f"stage{self.stage}_results.json"
        write_json(self.folder / name, results)

    def _network(self, fresh: bool) -> tuple[OneShotNetwork, int, list[str]]:
        """The network, with weights to start from where `fresh`; the steps of earlier stages; what to tell the user."""
        previous, earlier_steps = None, 0
        if self.settings.method == "pop" and self.stage > 1:
            before = resume.finished_stage(self.settings, self.stage - 1)
            previous, earlier_steps = before.build(), before.record["steps"]
        network = build_network(self.spec.num_slots, self.settings.way, self.settings, previous)
        if not fresh:
            return network, earlier_steps, [f"going on from {self.folder / 'last.pt'}"]
        if self.settings.kaiming_init:
            kaiming_init(network)
        elif self.settings.method != "aop":
            network.npm.set_threshold(self.settings.npm_threshold)
        if not isinstance(network, POPNet) or previous is None:
            notes = initialise(network, self.settings.pretrained, self.class_names, self.settings.fold, self.novel)
            return network, earlier_steps, notes
        network.start_from_previous()
        return network, earlier_steps, [f"stage {self.stage} starts from {before.path}"]

    def _trainer(self, saved: Checkpoint | None) -> Trainer:
        """Optimiser, schedule and the network as several processes train it, taken up where `saved` left off."""
        settings, amp = self.settings, resolve_amp(self.settings.amp, self.device)
        optimizer = make_optimizer(self.network, settings)
        mean = averaged(self.network) if settings.method == "aop" else None
        scaler = torch.amp.GradScaler(self.device.type, enabled=amp == "fp16")
        self.learning = Learning(self.network, mean, optimizer, scaler)
        if saved:
            self._restore(saved)
        done = self.steps_done - self.earlier_steps
        schedule = make_schedule(optimizer, settings, self.epoch_steps, done)
        self.network, parallel = in_parallel(self.network, self.device)
        self.learning.network = self.network
        clip = CLIP if settings.method == "aop" else None
        return Trainer(parallel, optimizer, schedule, scaler, self.device, amp, settings.accumulate, mean, clip)

    def _restore(self, saved: Checkpoint) -> None:
        try:
            train_ids = digests.of_lines(self.episodes.used_ids())
            resume.check_data(saved, len(self.episodes.held_out), train_ids, self.class_names, self.novel)
            self.learning.restore(saved)
            self.progress = Progress.from_record(saved.record)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            why = " ".join(str(error).split())[:160] or type(error).__name__
            raise UserError(f"{self.folder / 'last.pt'}: does not fit this run ({why}); move it away") from error

    def _save_due(self) -> bool:
        return distributed.any_rank(time.monotonic() - self.saved_at > 60 * self.settings.save_minutes, self.device)

    def _save(self, name: str, trained_epoch: int) -> None:
        self.saved_at = time.monotonic()
        if distributed.rank() > 0:
            return
        self.board.flush()
        self._take_folder()
        save_run(
            self.folder / name,
            self.result,
            {
                "settings": dataclasses.asdict(self.settings),
                "num_slots": self.spec.num_slots,
                "class_names": self.class_names,
                "novel": self.novel,
                "stage": self.stage,
                "trained_epoch": trained_epoch,
                "steps": self.steps_done,
                "world": distributed.world_size(),
                "held_out": len(self.episodes.held_out),
                **({"sorting": self.episodes.sorting} if isinstance(self.episodes, TrainingPhotos) else {}),
                **self.learning.record(),
                **self.progress.record(
                    digests.of_weights(self.result.state_dict()), digests.of_lines(self.episodes.used_ids())
                ),
                "precision": self.trainer.amp,
                "versions": digests.versions(),
            },
        )

    def _take_folder(self) -> None:
        """What an earlier run left goes once this one puts something in its place."""
        if self.fresh:
            if self.stage == STAGES or not self.settings.stage:
                resume.remove_earlier(self.folder)
            write_json(self.folder / "settings.json", dataclasses.asdict(self.settings))
        self.fresh = False

    def _introduce(self, notes: list[str]) -> None:
        settings, world = self.settings, distributed.world_size()
        parameters = sum(p.numel() for p in self.network.parameters())
        if distributed.rank() == 0 and not self.fresh:
            write_json(self.folder / "settings.json", dataclasses.asdict(settings))
        distributed.say(
            *notes,
            *self.tests.list.notes(),
            f"{self.spec.title} fold {settings.fold}, {settings.way}: {len(self.episodes)} episodes, "
            f"{len(self.tests.pairs)} pairs of the {self.tests.split.split} list to score",
            f"{settings.encoder}, {parameters / 1e6:.1f} M parameters, on {self.device}, mixed precision "
            f"{self.trainer.amp}; revision {revision() or 'unknown'}",
            f"batch {settings.batch_size} x {world} x {settings.accumulate}, lr {settings.lr:g}, "
            f"{settings.epochs * self.epoch_steps} steps in {settings.epochs} epochs; run folder {self.folder}",
        )
