"""The order in which training takes its episodes."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from .oshp_loader import TrainEpisodes
from .training_photos import TrainingPhotos


class EpisodeBatches(Sampler[list[int]]):
    """Shuffled batches of episode indices for one of `world` ranks.

    The ranks' batches of one step make a joint batch, and every rank gets the same number of batches. In 1-way a joint
    batch holds one class only, unless batches are `mixed`. An incomplete joint batch is left out, unless it would be
    the only one of its class: then it is filled up from the start of the class's order. The order follows from (seed,
    epoch).
    """

    def __init__(
        self,
        episodes: TrainEpisodes | TrainingPhotos,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        mixed: bool = False,
    ) -> None:
        classes = np.zeros_like(episodes.class_ids) if mixed else episodes.class_ids
        self.groups = [np.flatnonzero(classes == c) for c in np.unique(classes)]
        self.batch_size, self.seed, self.rank, self.world = batch_size, seed, rank, world
        self.epoch, self.start_batch = 0, 0

    def set_epoch(self, epoch: int, start_batch: int = 0) -> None:
        """Choose the epoch; the next pass leaves out its first `start_batch` batches, which an earlier run has done."""
        self.epoch, self.start_batch = epoch, start_batch

    def __len__(self) -> int:
        """Batches per rank in a whole epoch, whatever `start_batch`."""
        return sum(self._joint_batches(len(group)) for group in self.groups)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        joint = self.batch_size * self.world
        batches = []
        for group in self.groups:
            order = np.resize(rng.permutation(group), self._joint_batches(len(group)) * joint)  # repeats from the start
            batches += list(order.reshape(-1, joint))
        own = slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)
        for step in rng.permutation(len(batches))[self.start_batch :]:
            yield batches[step][own].tolist()

    def _joint_batches(self, episodes: int) -> int:
        return max(episodes // (self.batch_size * self.world), min(episodes, 1))
