"""Writes `tests/data/goldens` from the measurements of the authors' code, of which it keeps a small part.

    python -m tests.make_goldens [../shared]

SHARED/parity holds whole arrays of logits, the photos, and the shapes of the authors' state dicts; its README.md says
how each was measured. SHARED/official_splits holds the authors' published lists. Nothing is computed here.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from dataloaders.layout import MIRRORED_FOLDER
from dataloaders.supports import read_plain_pickle

from .goldens import FOLDER, pairs_digest

PIXELS = 400
EVALUATIONS = [f"eop_{way}_{mode}" for way in ("kway", "1way") for mode in ("static", "dynamic")]
STEPS = {"kway": "eop_kway_train_dynamic", "1way": "eop_1way_train_warmup"}
KINDS = ("eop_kway", "eop_1way", "pop_kway")
ATR_SUPPORTS = {"train": (15000, 35), "test": (2706, 35)}  # images and keys of each split


def make(shared: Path, out: Path) -> None:
    """Write all files of `out` from those of `shared`."""
    out.mkdir(parents=True, exist_ok=True)
    parity = shared / "parity"
    shapes = {kind: _read(parity / f"official_{kind}_atr_shapes.json") for kind in KINDS}
    for name, content in (("shapes", shapes), ("numbers", numbers(parity))):
        packed = gzip.compress(json.dumps(content, separators=(",", ":")).encode(), mtime=0)
        (out / f"{name}.json.gz").write_bytes(packed)
    (out / "mini_atr.zip").write_bytes(packed_folder(parity / "mini_atr"))
    np.savez_compressed(out / "logits.npz", **logits(parity))
    np.savez_compressed(out / "metrics.npz", **metrics(parity))
    np.savez_compressed(out / "atr_supports.npz", **{split: support_bits(shared, split) for split in ATR_SUPPORTS})


def numbers(parity: Path) -> dict[str, Any]:
    """Losses of the evaluations, training step, longer trainings, whole evaluations of each way; ATR's test list."""
    evaluations = {run: np.load(parity / evaluation_file(run)) for run in EVALUATIONS}
    return {
        "evaluation": {
            run: {term: float(arrays[f"loss_{term}"]) for term in ("agm", "npm", "s1")}
            for run, arrays in evaluations.items()
        },
        "training_step": {way: _read(parity / f"{name}.json") for way, name in STEPS.items()},
        "trajectory": {way: _read(parity / f"trajectory_{way}.json") for way in STEPS},
        "mini_atr": {way: _read(parity / f"mini_atr_{way}.json") for way in STEPS},
        "atr_pairs_sha256": pairs_digest(_read(parity / "atr_meta_test_pairs.json")["pairs"]),
    }


def packed_folder(folder: Path) -> bytes:
    """A zip archive of a data folder, without the mirrored labels, that does not depend on when it is made."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.parent.name != MIRRORED_FOLDER:
                archive.writestr(zipfile.ZipInfo(str(path.relative_to(folder))), path.read_bytes())
    return buffer.getvalue()


def logits(parity: Path) -> dict[str, np.ndarray]:
    """Logits (C, pixels) of each evaluation, and query labels (pixels) without unsupported classes."""
    stage = np.load(parity / "pop_kway_eval.npz")
    pixels = np.sort(np.random.default_rng(0).choice(stage["query"][0, 0].size, PIXELS, replace=False))

    def at_pixels(array: np.ndarray) -> np.ndarray:
        return array[0].reshape(len(array[0]), -1)[:, pixels]

    kept = {"pixels": pixels}
    for run in EVALUATIONS:
        arrays = np.load(parity / evaluation_file(run))
        for ours, theirs in (("npm", "npm_out"), ("agm", "agm_out"), ("coarse", "s1_qry_out")):
            kept[f"{run}_{ours}"] = at_pixels(arrays[theirs])
        kept[f"{run}_label"] = at_pixels(arrays["s2_qry_gt"])[0].astype(np.uint8)
    for run in ("dynamic", "infused_static"):
        for ours, theirs in (("npm", "ncm"), ("agm", "agm")):
            kept[f"pop_kway_{run}_{ours}"] = at_pixels(stage[f"{theirs}_{run}"])
    return kept


def metrics(parity: Path) -> dict[str, np.ndarray]:
    """Predictions, labels and figures, all of both files."""
    files = {kind: np.load(parity / f"metrics_{kind}.npz") for kind in ("kway", "binary")}
    return {f"{kind}_{key}": arrays[key] for kind, arrays in files.items() for key in arrays.files}


def support_bits(shared: Path, split: str) -> np.ndarray:
    """Whether the list of a key holds an image, (keys, images) in packed bits."""
    images, keys = ATR_SUPPORTS[split]
    bits = np.zeros((keys, images), bool)
    for key, indices in read_plain_pickle(support_file(shared, split)).items():
        bits[key, indices] = True
    return np.packbits(bits, axis=1)


def support_file(shared: Path, split: str) -> Path:
    """The authors' support index of ATR's `split`."""
    return shared / "official_splits" / "ATR_OS" / "support" / f"meta_{split}_atr_supports.pkl"


def evaluation_file(run: str) -> str:
    """The file of one of EVALUATIONS."""
    return f"{run[:8]}_eval{run[8:]}_0.npz"


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


if __name__ == "__main__":
    make(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared"), FOLDER)
