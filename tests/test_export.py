"""The exported graphs agree with PyTorch at any size and number of classes, and run without it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from predict import OneShotParser
from tools import export_onnx

from .own_photos import SIZE, network, picture, write_checkpoint, write_grey_png
from .samples import tiny_stages

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("kind", ["kway", "1way", "popnet"])
def test_the_graphs_agree_with_pytorch(kind, tmp_path):
    net = tiny_stages().eval() if kind == "popnet" else network(kind)
    export_onnx.export(net, tmp_path)
    for size, classes in (((64, 48), 2), ((33, 90), 1), ((130, 71), 300)):
        assert export_onnx.check(net, tmp_path, size, classes) > 0.999


def run_example(folder: Path) -> subprocess.CompletedProcess:
    """Run the example on ref.png and labels.png in `folder`, in a Python that has no torch."""
    program = (
        "import runpy, sys; sys.argv = sys.argv[1:]; sys.modules['torch'] = None; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    arguments = ["--graphs", "graphs", "--reference", "ref.png", "--labels", "labels.png", "ref.png", "--out", "out"]
    command = [sys.executable, "-c", program, str(ROOT / "tools" / "run_onnx.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("way, ids, size", [("kway", (0, 3, 200, 7), SIZE[0]), ("1way", (0, 300, 2, 1000), 0)])
def test_the_example_runs_without_pytorch(way, ids, size, tmp_path):
    """End to end: the example's label map is that of predict.py, but for the resampling."""
    image, label = picture()
    labels = np.array(ids, dtype=np.uint8 if max(ids) < 256 else np.uint16)[label]
    Image.fromarray(image).save(tmp_path / "ref.png")
    Image.fromarray(labels).save(tmp_path / "labels.png")
    checkpoint = write_checkpoint(tmp_path / "tiny.pt", way, test_size=size)
    export_onnx.main(["--checkpoint", str(checkpoint), "--out", str(tmp_path / "graphs")])
    done = run_example(tmp_path)
    assert done.returncode == 0, done.stderr
    parser = OneShotParser(checkpoint, "cpu")
    parser.set_reference(image, labels)
    found = np.asarray(Image.open(tmp_path / "out" / "ref.png"))
    assert (found == parser.parse(image).labels).mean() > 0.98
    write_grey_png(tmp_path / "labels.png", label, bits=4)
    assert run_example(tmp_path).returncode == 0
    parser.set_reference(image, label)
    found = np.asarray(Image.open(tmp_path / "out" / "ref.png"))
    assert set(np.unique(found)) <= set(np.unique(label)) and (found == parser.parse(image).labels).mean() > 0.98
    for wrong, told in ((np.zeros_like(labels), "at least one class"), (labels[1:], "another size")):
        Image.fromarray(wrong).save(tmp_path / "labels.png")
        done = run_example(tmp_path)
        assert done.returncode == 1 and told in done.stderr and done.stderr.count("\n") == 1
