"""What bounds a checkpoint's parses: the same photos and references with one part at a time replaced by the truth.

    python -m tools.measure_bounds --split val --parses 150

Photos meet references as in tools/score_user.py. Rows: the reference alone; with the bank and rivals, as predict.py
does by default; the same, knowing which classes a photo shows; prototypes from the query's own labels, with the
same knowledge; and the closed-set head of the training, which needs no reference. All are mIoU without background over
the reference's classes, in percent.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from dataloaders.transforms import Sample
from engine.metrics import ConfusionMatrix
from inference.parser import OneShotParser
from inference.references import Support
from networks.aopnet import AOPNet
from networks.decoding import Maps, class_scores, decode
from utils.config import whole
from utils.errors import UserError, run_cli
from utils.imaging import resize_longest
from utils.log import percent, table

from .measuring import draw, measuring_options, meetings, split_of, truth_under

ROWS = ("the reference alone", "with bank and rivals", "classes known", "the query's own prototypes", "closed-set head")


@torch.inference_mode()
def label_maps(parser: OneShotParser, query: Sample, alone: Support, support: Support) -> list[Tensor]:
    """The label maps (H, W) of a photo, slots of the reference's classes, in the order of `ROWS`."""
    truth = query.label.long()
    size = (truth.shape[0], truth.shape[1])
    ids = [c.id for c in support.classes]
    there = torch.tensor([bool((truth == i).any()) for i in ids])
    photo = query.rgb
    maps = [parser.maps(photo, one) for one in (alone, support)]
    decoded = [decode(one, class_scores([one]) >= parser.min_score, size)[0] for one in maps]
    decoded.append(decode(maps[1], there, size)[0])
    own = truth_under(query.label.numpy(), ids)
    if there.any():
        itself = parser.make_support(photo, own, {c.id: c.name for c in support.classes})
        place = torch.tensor([0, *(1 + ids.index(c.id) for c in itself.classes)])
        decoded.append(place[decode(parser.maps(photo, itself), torch.ones(len(place) - 1).bool(), size)[0]])
    else:
        decoded.append(torch.zeros_like(truth))
    decoded.append(_closed(parser, photo, maps[1], ids, size))
    return decoded


def _closed(parser: OneShotParser, photo: np.ndarray, maps: Maps, ids: Sequence[int], size: tuple[int, int]) -> Tensor:
    """The winners of the closed-set head; those that are none of `ids` are background."""
    network = parser.network
    if not isinstance(network, AOPNet):
        raise UserError(f"measure_bounds is for AOPNet, which has a closed-set head, not for {network.method}")
    image = torch.from_numpy(np.ascontiguousarray(photo)).permute(2, 0, 1).to(parser.device)
    logits = network.closed_logits(resize_longest(image, parser.max_size)[None])[0]
    winners = decode(Maps(logits, maps.coarse), torch.ones(len(logits) - 1, dtype=torch.bool), size)[0]
    slots = torch.zeros(len(logits), dtype=torch.long)
    slots[torch.tensor(ids)] = torch.arange(1, 1 + len(ids))
    return slots[winners]


def main(arguments: Sequence[str] | None = None) -> None:
    options = measuring_options(__doc__ or "")
    options.add_argument("--references", type=whole(1, 100), default=1, help="labelled photos at once")
    options.add_argument("--parses", type=whole(1), default=150, help="how many photos to parse (default: %(default)s)")
    chosen = options.parse_args(arguments)
    split = split_of(chosen)
    parsers = [OneShotParser(chosen.checkpoint, "cpu", kind) for kind in ("support-only", "auto")]
    groups = list(draw(split.usable, chosen.parses, chosen.references, chosen.seed))
    pixels = [ConfusionMatrix(split.spec.num_slots) for _ in ROWS]
    alone, default = (meetings(parser, split, split.spec.classes, groups) for parser in parsers)
    pairs = zip(alone, default, strict=True)
    for (only, _), (support, query) in tqdm(pairs, unit="photo", total=chosen.parses):
        ids = torch.tensor([0, *(c.id for c in support.classes)])
        truth = torch.from_numpy(truth_under(query.label.numpy(), ids[1:].tolist())).long()
        for matrix, slots in zip(pixels, label_maps(parsers[1], query, only, support), strict=True):
            matrix.update(ids[slots], truth)
    rows = []
    for title, matrix in zip(ROWS, pixels, strict=True):
        rows.append([title, percent(matrix.miou())])
    print(table(["parsed with", "mIoU %"], rows))


if __name__ == "__main__":
    run_cli(main)
