"""The few things that several processes do together; every function also works in a single process."""

import os
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def is_distributed() -> bool:
    """Whether this process is one of several."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank() -> int:
    """This process's number, 0 in a single process."""
    return dist.get_rank() if is_distributed() else 0


def world_size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if is_distributed() else 1


def gather_batch(*tensors: Tensor) -> tuple[tuple[Tensor, ...], int]:
    """Each (B, ...) tensor concatenated over the ranks, in rank order, and the place of this rank's first sample.

    All ranks must hold batches of one size. No gradient flows through.
    """
    if not is_distributed():
        return tensors, 0
    gathered = []
    for tensor in tensors:
        parts = [torch.empty_like(tensor) for _ in range(world_size())]
        dist.all_gather(parts, tensor.contiguous())
        gathered.append(torch.cat(parts))
    return tuple(gathered), rank() * len(tensors[0])


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """Add up a tensor over the ranks, in place; returns it."""
    if is_distributed():
        dist.all_reduce(tensor)
    return tensor


def mean_over_ranks(tensor: Tensor) -> Tensor:
    """The mean of a tensor over the ranks, without gradient."""
    return sum_over_ranks(tensor.detach().clone()) / world_size()


def from_first(thing: T) -> T:
    """What the first process has, on every rank; plain Python objects."""
    if not is_distributed():
        return thing
    shared = [thing]
    dist.broadcast_object_list(shared, src=0)
    return shared[0]


def start() -> int:
    """Join the process group that torchrun set up, if it did; returns this process's number on its machine."""
    if "WORLD_SIZE" in os.environ and not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    return int(os.environ.get("LOCAL_RANK", 0))


def any_rank(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set on any rank."""
    return bool(sum_over_ranks(torch.tensor(int(flag), device=device))) if is_distributed() else flag


def say(*lines: str) -> None:
    """Print lines once, whatever the number of processes."""
    if rank() == 0:
        for line in lines:
            print(line, flush=True)
