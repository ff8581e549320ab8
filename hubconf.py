"""Entry of torch.hub: a ready parser with the weights that come with the project, from any folder.

parser = torch.hub.load("path/of/this/folder", "one_shot_parser", source="local", device="cpu")
parser.set_reference("ref.jpg", label_map, {1: "hat", 2: "coat"})
parser.parse("photo.jpg").save("parsed", "photo")
"""

import collections.abc
import contextlib
import sys
from pathlib import Path

dependencies = ["torch", "torchvision", "numpy", "PIL", "cv2", "timm", "safetensors", "huggingface_hub", "tqdm"]
_ROOT = Path(__file__).resolve().parent
_ROOMS = ("utils", "networks", "dataloaders", "inference")


@contextlib.contextmanager
def _own_packages() -> collections.abc.Iterator[None]:
    """While it lasts, `utils` and the like are this project's; afterwards they are the calling program's again.

    What is imported meanwhile lives on in the functions that use it, so these must not import more when they run.
    """
    theirs = {name: module for name, module in sys.modules.items() if name.split(".")[0] in _ROOMS}
    for name, module in theirs.items():
        if _ROOT not in Path(str(getattr(module, "__file__", None))).parents:
            del sys.modules[name]
    sys.path.insert(0, str(_ROOT))
    try:
        yield
    finally:
        sys.path.remove(str(_ROOT))
        for name in [name for name in sys.modules if name.split(".")[0] in _ROOMS]:
            del sys.modules[name]
        sys.modules.update(theirs)


with _own_packages():
    from inference.parser import OneShotParser as one_shot_parser

__all__ = ["dependencies", "one_shot_parser"]
