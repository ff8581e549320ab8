"""Parse photos with the exported graphs: onnxruntime and numpy, with Pillow and OpenCV for pictures. No PyTorch.

    python -m tools.export_onnx --checkpoint data/released/aopnet_lite2_3.2.safetensors --out exported
    python -m tools.run_onnx --graphs exported --reference ref.jpg --labels ref.png photo.jpg --out parsed

Photos and labels are read as predict.py does, and results are written over nothing else either. Where it is needed
without the rest of the project, the folders `dataloaders`, `inference`, `tools` and `utils` are enough.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as fault
from PIL import Image

from inference.annotations import is_unnamed, read_index_map, untold
from inference.closer import closer_pair, closer_window
from inference.command import names_of, tell_passed_over
from inference.inputs import check_results, collect, note_results
from inference.known_names import known_as
from inference.labelled import check_labels
from utils.config import ArgumentParser
from utils.errors import UserError, run_cli
from utils.files import read_json, replacing
from utils.imaging import is_blank, network_size, to_rgb
from utils.rivals import UNKNOWN_BIAS, left_over, taken_pixels, thinned

# Bounds the memory of a large photo's logits; beyond it the label map is made smaller, then enlarged.
LOGITS_AT_ONCE = 2**26


def seen(rgb: np.ndarray, facts: dict[str, Any]) -> np.ndarray:
    """A photo, RGB uint8 (H, W, 3), as the graphs take it: float (3, h, w) of the size that they were made for."""
    height, width = network_size((rgb.shape[0], rgb.shape[1]), facts["max_size"], facts["enlarge"])
    resized = Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR)
    pixels: np.ndarray = np.asarray(resized, dtype=np.float32).transpose(2, 0, 1)
    return pixels


def blend_rows(
    prototypes: np.ndarray, names: Sequence[str], facts: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prototypes (K, D) blended with the bank where it knows their names, its other rows (R, D), and which names (K,)
    it does not know. As `inference.references.blend_rows` does it.
    """
    bank = {name: np.array(row, dtype=np.float32) for name, row in facts.get("bank", {}).items()}
    share, joined = facts.get("bank_share", 0), known_as(names, list(bank))
    unknown = np.array([name not in joined for name in names])
    pairs = zip(prototypes, names, strict=True)
    blended = [own + share * (bank[joined[name]] - own) if name in joined else own for own, name in pairs]
    nameless = all(map(is_unnamed, names))
    others = [] if nameless else [row for name, row in bank.items() if name not in joined.values()]
    return np.stack(blended), np.stack(others) if others else np.zeros_like(prototypes[:0]), unknown


def choose_rivals(
    parser: onnxruntime.InferenceSession,
    made: dict[str, np.ndarray],
    labels: np.ndarray,
    ids: np.ndarray,
    unknown: np.ndarray,
) -> np.ndarray:
    """Those of `made["rivals"]` that are none of the `unknown` (K,) of the `ids` by another name; as `networks.rivals`
    does."""
    others, small = made["rivals"], thinned(labels)
    scores = np.zeros(len(others), dtype=np.float32)
    alone = {**made, "prototypes": others, "rivals": np.zeros_like(others[:1]), "min_score": scores}
    won, *_ = parser.run(None, {**alone, "canvas": np.zeros(small.shape, dtype=np.uint8)})
    taken = taken_pixels(won, small, ids[unknown].tolist(), len(others))
    return others[left_over(taken, made["prototypes"][unknown], others, range(len(others)))]


def support_of(
    reference: onnxruntime.InferenceSession,
    parser: onnxruntime.InferenceSession,
    facts: dict[str, Any],
    photo_file: str,
    label_file: str,
    name_file: str | None,
    depth: int = 0,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What the parser's graph takes of a labelled photo, and the ids (K,) of its classes.

    Raises `UserError` where the two files do not fit, and for a class that is too small.
    """
    label = read_index_map(label_file, photo=photo_file)
    given = names_of(name_file, [label], [label_file])
    notes: list[str] = []
    classes, [(photo, slots)] = check_labels([photo_file], [label], given, depth, notes.append)
    for note in untold(notes):
        print(note)
    names, numbers = [c.name for c in classes], np.arange(1, len(classes) + 1)
    if facts["closer"]:
        photo, slots = closer_pair(photo, slots, lambda rgb: people_of(parser, facts, rgb))
    made = {"image": seen(photo, facts)}
    prototypes, foreground = reference.run(None, {**made, "labels": slots, "class_ids": numbers})
    unseen = ", ".join(name for name, prototype in zip(names, prototypes, strict=True) if not prototype.any())
    if unseen:
        where = f"at {facts['max_size']} pixels"
        raise UserError(f"{label_file}: {unseen} is too small to be seen {where}; use a reference where it is larger")
    prototypes, rivals, unknown = blend_rows(prototypes, names, facts)
    support = {"prototypes": prototypes, "foreground": foreground, "rivals": rivals}
    if len(rivals) and unknown.any():
        support["rivals"] = choose_rivals(parser, {**made, **support}, slots, numbers, unknown)
    support["min_score"] = least_scores(facts["min_score"], unknown & bool(len(support["rivals"]) or not unknown.all()))
    if not len(support["rivals"]):
        support["rivals"] = np.zeros_like(prototypes[:1])  # a graph takes no empty input
    return support, np.array([c.id for c in classes])


def people_of(parser: onnxruntime.InferenceSession, facts: dict[str, Any], rgb: np.ndarray) -> np.ndarray:
    """Where people are in a photo, (H, W) bool, whatever the classes. As `inference.references.people_of` does it."""
    lengths = {given.name: given.shape[-1] for given in parser.get_inputs()}
    support = {name: np.zeros((1, lengths[name]), np.float32) for name in ("prototypes", "rivals")}
    support |= {"foreground": np.zeros(lengths["foreground"], np.float32), "min_score": np.zeros(1, np.float32)}
    return parse(parser, {**facts, "closer": False}, rgb, support)[1]


def parse(
    parser: onnxruntime.InferenceSession, facts: dict[str, Any], rgb: np.ndarray, support: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The slots of an RGB photo (H, W, 3), uint16 (H, W), and where people are, (H, W) bool. People who are small are
    parsed in a window around them, as `inference.parser` does."""
    height, width = rgb.shape[:2]
    factor = min(1.0, (LOGITS_AT_ONCE / ((len(support["prototypes"]) + 1) * height * width)) ** 0.5)
    canvas = np.zeros((max(1, int(height * factor)), max(1, int(width * factor))), dtype=np.uint8)
    found, _, person = parser.run(None, {"image": seen(rgb, facts), **support, "canvas": canvas})
    sized = [
        Image.fromarray(part).resize((width, height), Image.Resampling.NEAREST)
        for part in (found.astype(np.uint16), person)
    ]
    slots, people = (np.asarray(part) for part in sized)
    window = closer_window(people) if facts["closer"] else None
    if window:
        parts = parse(parser, facts, rgb[window], support)
        slots, people = np.zeros_like(slots), np.zeros_like(people)
        slots[window], people[window] = parts
    return slots, people


def opened(graph: Path) -> onnxruntime.InferenceSession:
    """A graph, ready to run. Raises `UserError` for one that is missing or damaged."""
    try:
        return onnxruntime.InferenceSession(graph)
    except (fault.NoSuchFile, fault.InvalidProtobuf, fault.InvalidArgument, fault.InvalidGraph, fault.Fail) as error:
        raise UserError(f"{graph}: no graph that can be read; export the checkpoint again") from error


def least_scores(min_score: float, unknown: np.ndarray) -> np.ndarray:
    """The scores (K,) below which a class is absent; lower for those that are `unknown` (K,).

    A score is the sigmoid of a logit, so what `references.presence_bias` adds to the logit divides the odds.
    """
    odds = np.where(unknown, np.exp(-UNKNOWN_BIAS), 1) * min_score
    least: np.ndarray = odds / (odds + 1 - min_score)
    return least.astype(np.float32)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 1 when photos had to be skipped."""
    options = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("photos", nargs="+", help="photos, or folders of them")
    options.add_argument("--graphs", required=True, help="the folder that export_onnx.py wrote")
    options.add_argument("--reference", required=True, help="the labelled photo")
    options.add_argument("--labels", required=True, help="its labels: an index PNG, 0 background, 255 ignored")
    options.add_argument(
        "--names", help='JSON file of class names by id: {"1": "hat"}; for what the network knows of them'
    )
    depths = (0, *range(8, 17))
    options.add_argument("--depth", type=int, choices=depths, default=0, help="bits of 16-bit photos that are in use")
    options.add_argument("--out", default="parsed", help="folder for the index PNGs (default: %(default)s)")
    chosen = options.parse_args(arguments)
    folder, out = Path(chosen.graphs), Path(chosen.out)
    named, passed_over = collect(chosen.photos, [chosen.labels])
    sources = [source._replace(of_photo=(".png",)) for source in named if not source.is_video]
    tell_passed_over([*passed_over, *(source.path.name for source in named if source.is_video)], "photos")
    check_results(out, sources, [chosen.reference, chosen.labels, folder])
    facts = read_json(folder / "graphs.json")
    reference, parser = (opened(folder / f"{name}.onnx") for name in ("reference", "parser"))
    if len(parser.get_outputs()) < 3:
        raise UserError(f"{folder}: its graphs are of an earlier version; export the checkpoint again")
    support, ids = support_of(reference, parser, facts, chosen.reference, chosen.labels, chosen.names, chosen.depth)

    # For each photo: slots 0..K at its own size, back to the user's ids.
    note_results(out, sources)
    table = np.array([0, *ids], dtype=np.uint8 if ids.max() < 256 else np.uint16)
    skipped = 0
    for source in sources:
        try:
            photo = to_rgb(source.path, depth=chosen.depth, tell=print)
        except UserError as error:
            print(f"skipped: {error}", file=sys.stderr)
            skipped += 1
            continue
        slots, _ = parse(parser, facts, photo, support)
        labels = np.zeros_like(table[slots]) if is_blank(photo) else table[slots]
        with replacing(out / f"{source.name}.png") as temporary:
            Image.fromarray(labels).save(temporary)
        print(f"written: {out / source.name}.png")
    return 1 if skipped else 0


if __name__ == "__main__":
    run_cli(main)
