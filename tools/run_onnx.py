"""Parse photos with the exported graphs: onnxruntime and numpy, with Pillow to read and write files. No PyTorch.

    python -m tools.export_onnx --checkpoint data/released/lite0_ccp_toy.safetensors --out exported
    python -m tools.run_onnx --graphs exported --reference ref.jpg --labels ref.png photo.jpg --out parsed

Stands alone: copy this file and the exported folder to where they are needed.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def read_photo(path: str, facts: dict) -> tuple[np.ndarray, tuple[int, int]]:
    """The photo as the graphs take it, float (3, H, W) of the size that they were made for, and its own (W, H)."""
    picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    factor = facts["max_size"] / max(picture.size)
    factor = factor if facts["enlarge"] else min(1.0, factor)
    size = tuple(max(16, round(side * factor)) for side in picture.size)
    pixels = np.asarray(picture.resize(size, Image.Resampling.BILINEAR), dtype=np.float32)
    return pixels.transpose(2, 0, 1), picture.size


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("photos", nargs="+", help="photos to parse")
    options.add_argument("--graphs", required=True, help="the folder that export_onnx.py wrote")
    options.add_argument("--reference", required=True, help="the labelled photo")
    options.add_argument("--labels", required=True, help="its labels: an index PNG, 0 background, 255 ignored")
    options.add_argument("--out", default="parsed", help="folder for the index PNGs (default: %(default)s)")
    chosen = options.parse_args()
    folder, out = Path(chosen.graphs), Path(chosen.out)
    facts = json.loads((folder / "graphs.json").read_text())
    reference, parser = (onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("reference", "parser"))

    # Once: prototypes of the reference's classes.
    image, reference_size = read_photo(chosen.reference, facts)
    picture = Image.open(chosen.labels)
    step = {"L;2": 85, "L;4": 17}.get(str(picture.tile[0][3]), 1)  # Pillow stretches grey of few bits over 0..255
    labels = np.asarray(picture).astype(np.int64) // step
    ids = np.setdiff1d(np.unique(labels), (0, 255))
    if labels.ndim != 2 or not len(ids):
        raise SystemExit(f"error: {chosen.labels}: not an index PNG with at least one class")
    if labels.shape != (reference_size[1], reference_size[0]):
        raise SystemExit(f"error: {chosen.labels}: has another size than {chosen.reference}; save both at one size")
    prototypes, foreground = reference.run(None, {"image": image, "labels": labels, "class_ids": ids})

    # For each photo: slots 0..K, back to the user's ids and to the photo's own size.
    out.mkdir(parents=True, exist_ok=True)
    for path in chosen.photos:
        image, size = read_photo(path, facts)
        min_score = np.array(facts["min_score"], dtype=np.float32)
        inputs = {"image": image, "prototypes": prototypes, "foreground": foreground, "min_score": min_score}
        slots, _ = parser.run(None, inputs)
        classes = np.array([0, *ids], dtype=np.uint8 if ids.max() < 256 else np.uint16)[slots]
        Image.fromarray(classes).resize(size, Image.Resampling.NEAREST).save(out / f"{Path(path).stem}.png")
        print(f"written: {out / Path(path).stem}.png")


if __name__ == "__main__":
    main()
