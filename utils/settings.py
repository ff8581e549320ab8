"""Where to compute, and how: settings that training and evaluation share."""

from __future__ import annotations

from dataclasses import dataclass

from .config import option


@dataclass
class DeviceSettings:
    """device and precision"""

    device: str = option("auto", "cuda, mps, cpu, or auto for the best there is")
    amp: str = option(
        "off", "automatic mixed precision; auto: bf16 where the device is fast at it", ("off", "auto", "bf16", "fp16")
    )
    channels_last: str = option(
        "auto", "memory format of the convolutions; auto: on for CPU and CUDA", ("auto", "on", "off")
    )
    compile: bool = option(False, "compile encoder and decoder with torch.compile; minutes at the start")
