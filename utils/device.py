"""Which device to run on, and mixed precision on it."""

import contextlib
import math
import random
from pathlib import Path

import torch
from torch import nn

from .errors import UserError

DEVICES = ("cuda", "mps", "cpu")
AMP_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
# On GPUs that have it, float32 convolutions and matrix products may round their inputs to TF32 (10 bits of mantissa,
# more than bfloat16's 7). torch allows it for convolutions by itself; here it is allowed for both, knowingly.
ALLOW_TF32 = True


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """The device; `auto`: CUDA (this rank's), MPS or the CPU, what is there first. `UserError` if it is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device("cuda", local_rank) if name == "cuda" else torch.device(name)
        if device.type not in DEVICES:
            raise UserError(f"--device {name}: is none of {', '.join(DEVICES)}, which this program can use")
        torch.zeros(1, device=device)
        if device.type == "cuda":
            torch.cuda.set_device(device)  # for what asks for no device: generators, threads that pin memory
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = ALLOW_TF32
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: not available here; use --device auto or cpu") from error
    return device


def free_memory(device: torch.device) -> float:
    """Bytes that a program may still take on the device; infinity where that is not known.

    On the CPU it is what Linux calls available, or less where a container has a limit of its own.
    """
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # torch takes it again
        return float(torch.cuda.mem_get_info(device)[0] + cached)
    limits = [math.inf]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        limits += [1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")]
        most, used = (Path(f"/sys/fs/cgroup/memory.{name}").read_text().strip() for name in ("max", "current"))
        limits += [float(most) - float(used)] if most.isdecimal() else []
    except (OSError, ValueError):
        pass
    return min(limits)


def resolve_amp(amp: str, device: torch.device) -> str:
    """The precision to use: `auto` becomes bf16 where the device computes in it natively, else off."""
    if amp != "auto":
        return amp
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        flags = Path("/proc/cpuinfo")
        known = device.type == "cpu" and flags.exists()
        native = known and "avx512_bf16" in flags.read_text(encoding="utf-8", errors="replace")
    return "bf16" if native else "off"


def autocast(device: torch.device, amp: str) -> contextlib.AbstractContextManager:
    """Mixed precision of kind `amp` (off, bf16, fp16) on the device."""
    if amp == "off":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=AMP_TYPES[amp])


def tune(network: nn.Module, device: torch.device, channels_last: str = "auto", compile: bool = False) -> None:
    """Lay out the network's weights for speed, and compile its encoder and decoder on request; names stay as they are.

    `channels_last` is on, off or auto: on for CPU and CUDA, whose convolutions are faster so (docs/performance.md).
    """
    if channels_last == "on" or (channels_last == "auto" and device.type in ("cpu", "cuda")):
        network.to(memory_format=torch.channels_last)
    if compile:
        for part in ("encoder.body", "decoder"):
            network.get_submodule(part).compile()


def seed_everything(seed: int) -> None:
    """Seed Python's and torch's generators (of all devices)."""
    random.seed(seed)
    torch.manual_seed(seed)
