"""The exported graphs agree with PyTorch at any size and number of classes, and run without it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from inference.references import blend_rows, remembered_classes
from inference.settings import defaults_of
from networks.aopnet import AOPNet
from networks.backbones import LITE0
from networks.base import OneShotNetwork
from networks.prototypes import Prototypes
from predict import OneShotParser
from tools import export_onnx, run_onnx
from utils.files import read_json

from .own_photos import SIZE, network, picture, write_checkpoint, write_grey_png
from .samples import tiny_stages

ROOT = Path(__file__).resolve().parents[1]


def network_of(kind: str) -> OneShotNetwork:
    if kind == "popnet":
        return tiny_stages().eval()
    if kind != "aopnet":
        return network(kind)
    torch.manual_seed(0)
    made = AOPNet(5, LITE0, channels=64).eval()
    made.min_presence = 0.0
    with torch.no_grad():
        made.coarse.bias.copy_(torch.tensor([-50.0, 50.0]))
    return made


@pytest.mark.parametrize("kind", ["kway", "1way", "popnet", "aopnet"])
def test_the_graphs_agree_with_pytorch(kind, tmp_path):
    net = network_of(kind)
    export_onnx.export(net, tmp_path)
    for size, classes in (((64, 48), 2), ((33, 90), 1), ((130, 71), 300)):
        # the labels are noise: prototypes of AOPNet's random weights are then alike, and two of them would tie
        assert export_onnx.check(net, tmp_path, size, 1 if kind == "aopnet" else classes) > 0.999


def run_example(folder: Path, out: str = "out", *more: str) -> subprocess.CompletedProcess:
    """Run the example on ref.png and labels.png in `folder`, in a Python that has no torch."""
    program = (
        "import runpy, sys; sys.argv = sys.argv[1:]; sys.modules['torch'] = None; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    arguments = ["--graphs", "graphs", "--reference", "ref.png", "--labels", "labels.png", "photo.png", *more]
    command = [sys.executable, "-c", program, str(ROOT / "tools" / "run_onnx.py"), *arguments, "--out", out]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)


def test_a_parser_and_its_graphs_go_by_the_same_defaults():
    assert defaults_of(0, None, 0.25) == (512, False, 0.25) and defaults_of(384, 0.5, 0.25) == (384, True, 0.5)
    assert defaults_of(0, None, 0.0).min_score == 0


def test_the_bank_is_in_the_example_too():
    net = network_of("aopnet")
    net.bank.rows[1:4] = torch.randn(3, 64, generator=torch.Generator().manual_seed(2))
    own = Prototypes.of_classes(torch.randn(2, 64, generator=torch.Generator().manual_seed(3)), torch.zeros(64), "kway")
    known = remembered_classes(net, dict(enumerate(("background", "hat", "upper-clothes", "bag"))))
    facts = {"bank": {name: net.bank.rows[row].tolist() for name, row in known.items()}, "bank_share": net.bank_share}
    for names, rows in ((["Upper clothes", "bag"], [2, 3]), (["coat", "bag"], [0, 3]), (["coat", "class 7"], [0, 0])):
        expected = blend_rows(net, own, rows)
        made, rivals, unknown = run_onnx.blend_rows(own.classes[0, 1:].numpy(), names, facts)
        np.testing.assert_allclose(made, expected.classes[0, 1:].detach().numpy(), atol=1e-5)
        others = [row for row in (1, 2, 3) if row not in rows]
        np.testing.assert_allclose(rivals, net.bank.rows[others].numpy(), atol=1e-6)
        assert unknown.tolist() == [row == 0 for row in rows]
    assert not len(run_onnx.blend_rows(own.classes[0, 1:].numpy(), ["class 3", "class 7"], facts)[1])


@pytest.mark.parametrize("way, ids, size", [("kway", (0, 3, 200, 7), SIZE[0]), ("1way", (0, 300, 2, 1000), 0)])
def test_the_example_runs_without_pytorch(way, ids, size, tmp_path):
    """End to end: the example's label map is that of predict.py, for a photo of another size and with transparency."""
    image, label = picture()
    photo = np.dstack([picture((131, 77), seed=3)[0], np.full((131, 77), 255, np.uint8)])
    photo[:20, :20, 3] = 0
    Image.fromarray(photo).save(tmp_path / "photo.png")
    labels = np.array(ids, dtype=np.uint8 if max(ids) < 256 else np.uint16)[label]
    Image.fromarray(image).save(tmp_path / "ref.png")
    Image.fromarray(labels).save(tmp_path / "labels.png")
    checkpoint = write_checkpoint(tmp_path / "tiny.pt", way, test_size=size)
    export_onnx.main(["--checkpoint", str(checkpoint), "--out", str(tmp_path / "graphs")])
    done = run_example(tmp_path)
    assert done.returncode == 0, done.stderr
    parser = OneShotParser(checkpoint, "cpu")
    parser.set_reference(image, labels)
    found = np.asarray(Image.open(tmp_path / "out" / "photo.png"))
    assert (found == parser.parse(tmp_path / "photo.png").labels).mean() > 0.999
    assert read_json(tmp_path / "out/.predict.json") == {"results of predict.py": ["photo.png"]}, "it writes no more"
    write_grey_png(tmp_path / "labels.png", label, bits=4)
    assert run_example(tmp_path).returncode == 0
    parser.set_reference(image, label)
    found = np.asarray(Image.open(tmp_path / "out" / "photo.png"))
    assert (found == parser.parse(photo).labels).mean() > 0.999
    speck = np.where(labels == labels.max(), 0, labels)
    speck[1, 1] = labels.max()
    wrong_ones = (
        (np.where(label == 1, 127, 255).astype(np.uint8), "so they look scaled to be seen"),
        (np.where(label == 1, 70_000, label.astype(np.int32)), "hold 0 to 70000; use ids 0 to 65535"),
        (np.zeros_like(labels), "at least one class"),
        (labels[1:], "save both at one size"),
        (speck, "too small to be seen"),
    )
    for wrong, told in wrong_ones:
        Image.fromarray(wrong).save(tmp_path / "labels.png", "TIFF" if wrong.dtype == np.int32 else "PNG")
        done = run_example(tmp_path)
        assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1
    Image.fromarray(labels).save(tmp_path / "labels.png")
    (tmp_path / "clip.mp4").write_bytes(b"a video")
    assert "passed over, no photos: 1 files (clip.mp4)" in run_example(tmp_path, "out", "clip.mp4").stdout
    before = (tmp_path / "photo.png").read_bytes()
    done = run_example(tmp_path, ".")
    assert done.returncode == 2 and "choose another --out" in done.stderr
    assert (tmp_path / "photo.png").read_bytes() == before
    (tmp_path / "graphs/parser.onnx").write_bytes(b"cut off")
    done = run_example(tmp_path)
    assert done.returncode == 2 and "parser.onnx: no graph that can be read; export" in done.stderr
