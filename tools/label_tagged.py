"""Label the photos that have image-level tags only, with a trained AOPNet: more photos for its next training.

    python -m dataloaders.prepare ccp --source clothing-co-parsing --with-tagged
    python -m tools.label_tagged --checkpoint runs/ccp_aop_kway_f1/last.pt --out data/datasets/CCP_OS/tagged_f1
    bash scripts/ccp_aop_kwf1.sh --tagged data/datasets/CCP_OS/tagged_f1 --run-dir runs/ccp_aop_tagged_f1

The network's closed-set head labels each photo. A class may only win where the photo's tags allow it, and only where
the head is sure; the other pixels are ignored. In a fold the head knows no novel class, and the tags of novel classes
are not used: what the head takes for unlabelled parts of a person stays unlabelled.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from dataloaders import catalog
from dataloaders.layout import image_path, tagged_path
from dataloaders.reading import read_image
from networks.aopnet import AOPNet
from networks.checkpoints import open_checkpoint
from networks.fast.folding import fold_batch_norm
from networks.layers import resize
from utils.config import ArgumentParser
from utils.constants import IGNORE
from utils.device import choose_device
from utils.errors import UserError, run_cli
from utils.files import read_json, replacing
from utils.imaging import resize_longest

SURE = 0.6  # probability from which on a pixel takes its label


@torch.inference_mode()
def label(network: AOPNet, photo: Tensor, longest: int, allowed: Tensor, unlabelled: int, sure: float) -> Tensor:
    """The label map (H, W) of a photo (3, H, W): ids that are `allowed` (slots,), `unlabelled` for other parts of a
    person, 255 where the head is not `sure`. The photo and its mirror image are averaged."""
    size = photo.shape[-2:]
    small = resize_longest(photo, longest)
    logits = network.closed_logits(torch.stack([small, small.flip(-1)]))
    probability = resize(logits, size).softmax(dim=1)
    mean = (probability[0] + probability[1].flip(-1)) / 2
    mean[: len(allowed)] *= allowed[:, None, None]
    mean[unlabelled] += mean[len(allowed) :].sum(dim=0)
    mean = mean[: len(allowed)]
    best, ids = (mean / mean.sum(dim=0).clamp(min=1e-6)).max(dim=0)
    return torch.where((best >= sure) & (mean.sum(dim=0) > 0.3), ids, IGNORE)


def allowed_slots(names: Sequence[str], labels: Sequence[str], base: Sequence[int], unlabelled: int) -> Tensor:
    """Which slots may win in a photo with these classes: the background, the base classes among them, the rest."""
    ids = {labels.index(name) for name in names}
    return torch.tensor([i in (0, unlabelled) or (i in ids and i in base) for i in range(len(labels))]).float()


def main(arguments: Sequence[str] | None = None) -> None:
    options = ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--checkpoint", required=True, help="last.pt of a training of AOPNet on the data set")
    options.add_argument("--out", required=True, help="folder for the label maps")
    options.add_argument("--dataset", default="ccp", help="data set (default: %(default)s)")
    options.add_argument("--data-root", default="data/datasets", help="folder that holds the data sets' folders")
    options.add_argument(
        "--sure", type=float, default=SURE, help="probability that a label needs (default: %(default)s)"
    )
    options.add_argument("--device", default="auto", help="cuda, mps, cpu or auto")
    chosen = options.parse_args(arguments)
    spec, checkpoint = catalog.load(chosen.dataset), open_checkpoint(chosen.checkpoint)
    root = catalog.locate(spec, chosen.data_root)
    device = choose_device(chosen.device)
    network = checkpoint.build().to(device)
    of_network, of_data = (checkpoint.num_slots, checkpoint.class_names), (spec.num_slots, spec.class_names)
    if not isinstance(network, AOPNet) or of_network != of_data:
        raise UserError(f"{chosen.checkpoint}: no AOPNet of {spec.title}; train one with scripts/ccp_aop_kwf1.sh")
    fold_batch_norm(network)
    base, unlabelled = spec.base_classes(int(checkpoint.trained_with.get("fold", 0))), spec.spare_slot()
    tags: Mapping[str, Sequence[str]] = read_json(tagged_path(root))
    for image_id, names in tqdm(tags.items(), unit="photo"):
        photo = torch.from_numpy(read_image(image_path(root, image_id))).permute(2, 0, 1).to(device)
        allowed = allowed_slots(names, spec.labels, base, unlabelled).to(device)
        ids = label(network, photo, checkpoint.test_size or 512, allowed, unlabelled, chosen.sure)
        with replacing(Path(chosen.out) / f"{image_id}.png") as temporary:
            Image.fromarray(ids.to(torch.uint8).cpu().numpy()).save(temporary)


if __name__ == "__main__":
    run_cli(main)
