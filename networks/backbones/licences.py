"""What the pretrained weights of an encoder may be used for."""

import timm

TERMS = {  # by timm's name of a licence
    "dinov3-license": "DINOv3 License: terms of its own, under which derivatives come too",
    "fair-noncommercial-research-license": "FAIR Noncommercial Research License: no commercial use",
    "cc-by-nc-4.0": "CC BY-NC 4.0: no commercial use",
}


def licence_of(name: str) -> str:
    """The licence of timm's weights of the model `name`, as timm has it; '' where it does not say."""
    if not timm.is_model(name):
        return ""
    config = timm.models.get_pretrained_cfg(name)
    licence = (config.license if config else None) or ""
    return TERMS.get(licence, licence)
