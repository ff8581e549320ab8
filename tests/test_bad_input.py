"""Bad input is told in one line with the file and the remedy, exit status 2, and leaves no file half written."""

import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import evaluate as evaluate_cli
import train as train_cli
from networks.checkpoints import save_run
from utils.errors import UserError, run_cli

from .samples import tiny_network

TINY = [
    "--dataset",
    "toy",
    "--encoder",
    "tf_efficientnet_lite0",
    "--channels",
    "8",
    "--pretrained",
    "none",
    "--epochs",
    "1",
    "--batch-size",
    "4",
    "--crop-size",
    "64",
    "48",
    "--test-size",
    "64",
    "--workers",
    "1",
    "--device",
    "cpu",
]


@pytest.fixture
def data(toy_root, tmp_path):
    """A data root of its own that a test may break."""
    shutil.copytree(toy_root, tmp_path / "datasets")
    return tmp_path / "datasets"


def tell(main, capsys, monkeypatch, *arguments: str) -> str:
    """Run a command line; assert that it fails as the user's mistakes do, and return the line."""
    monkeypatch.setattr("sys.argv", ["command", *arguments])
    with pytest.raises(SystemExit) as stopped:
        run_cli(main)
    output = capsys.readouterr().err
    lines = [line for line in output.replace("\r", "\n").splitlines() if line.startswith("error: ")]
    assert stopped.value.code == 2, output
    assert len(lines) == 1 and "Traceback" not in output, output
    return lines[0]


def folder(data):
    return data / "TOY_OS"


def lose_list(root):
    (root / "list" / "meta_train_id.txt").unlink()
    return "meta_train_id.txt"


def lose_images(root):
    for path in (root / "trainval_images").iterdir():
        path.unlink()
    return "trainval_images"


def lose_labels(root):
    for path in (root / "trainval_classes").iterdir():
        path.unlink()
    return "trainval_classes"


def shrink_labels(root):
    for path in (root / "trainval_classes").iterdir():
        Image.open(path).resize((20, 30), Image.Resampling.NEAREST).save(path)
    return "20x30"


def overrun_labels(root):
    for path in (root / "trainval_classes").iterdir():
        label = np.array(Image.open(path))
        label[0, 0] = 99
        Image.fromarray(label).save(path)
    return "99"


def break_images(root):
    for path in (root / "trainval_images").iterdir():
        path.write_bytes(path.read_bytes()[:300])
    return "trainval_images"


def support_path(root):
    return next((root / "support").glob("*test*.pkl"))


def put_global(root):
    support_path(root).write_bytes(pickle.dumps({1: [print]}))
    return "pkl"


def put_strange_keys(root):
    support_path(root).write_bytes(pickle.dumps({"hat": [1]}))
    return "pkl"


def put_far_indices(root):
    table = pickle.loads(support_path(root).read_bytes())
    table[1] = [100000]
    support_path(root).write_bytes(pickle.dumps(table))
    return "pkl"


BREAKS = [
    lose_list,
    lose_images,
    lose_labels,
    shrink_labels,
    overrun_labels,
    break_images,
    put_global,
    put_strange_keys,
    put_far_indices,
]


@pytest.mark.parametrize("damage", BREAKS, ids=lambda f: f.__name__)
def test_broken_data(damage, data, tmp_path, capsys, monkeypatch):
    told = damage(folder(data))
    line = tell(
        train_cli.main, capsys, monkeypatch, *TINY, "--data-root", str(data), "--run-dir", str(tmp_path / "run")
    )
    assert told in line, line
    assert not [p for p in tmp_path.rglob("*") if p.name.startswith(".") or p.suffix == ".pt"]


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--fold", "3"], "fold 3"),
        (["--way", "2way"], "2way"),
        (["--dataset", "atrr"], "atrr"),
        (["--data-root", "nowhere"], "nowhere"),
        (["--encoder", "resnet1800"], "resnet1800"),
        (["--encoder", "bat_resnext26ts"], "choose another timm model"),
        (["--freeze-encoder"], "--freeze-encoder would keep random weights"),
        (["--pretrained", "missing.pth"], "missing.pth"),
        (["--pretrained", "data/pretrained_model/deeplab_v3plus_v3.pth"], "--pretrained encoder"),
        (["--epochs", "0"], "--epochs"),
        (["--batch-size", "1000"], "--batch-size"),
        (["--device", "cuda:99"], "cuda:99"),
        (["--no-such-option"], "--no-such-option"),
        (["--unlabelled-person", "ignore", "--way", "1way"], "--way kway"),
        (["--unlabelled-person", "class", "--method", "pop"], "--method eop"),
        (["--tagged", "labels"], "--tagged is for --method aop"),
        (["--zoom", "0.5", "1", "--method", "pop"], "--zoom is for --method aop"),
        (["--background", "ucs"], "--background is for --method pop"),
        (["--seed", "-1"], "--seed"),
        (["--seed", "99999999999999999999"], "--seed"),
        (["--lr", "inf"], "--lr"),
        (["--lr", "1e300"], "--lr"),
        (["--momentum", "1e39"], "--momentum"),
        (["--npm-threshold", "5"], "--npm-threshold"),
        (["--channels", "1000000"], "--channels"),
        (["--crop-size", "100000", "100000"], "--crop-size"),
        (["--test-size", "1000000"], "--test-size"),
        (["--test-size", "5"], "--test-size"),
        (["--scale", "1", "1000"], "--scale"),
        (["--workers", "100000"], "--workers"),
        (["--epochs", "1000000000000"], "--epochs"),
        (["--weight-decay", "1e300"], "--weight-decay"),
        (["--device", "meta"], "--device meta"),
        (["--device", "xpu"], "--device xpu"),
        (["--run-dir", "x" * 300], "xxx"),
        (["--bank-momentum", "7"], "--bank-momentum"),
        (["--warmup-epochs", "-3"], "--warmup-epochs"),
        (["--level", "high", "--batch-size", "1"], "--batch-size 1"),
        (["--method", "aop", "--channels", "48"], "--channels of aop must be more than 48"),
        (["--method", "aop", "--channels", "64", "--batch-size", "1"], "--batch-size of aop must be 2 or more"),
    ],
)
def test_impossible_settings(arguments, told, toy_root, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where none of the authors' files is
    line = tell(
        train_cli.main, capsys, monkeypatch, *TINY, "--data-root", str(toy_root), "--run-dir", str(tmp_path), *arguments
    )
    assert told in line, line
    assert not list(tmp_path.rglob("*.pt"))


def test_bad_checkpoints(tmp_path, toy_root, capsys, monkeypatch):
    good = tmp_path / "good.pt"
    content = {
        "settings": {"dataset": "toy", "encoder": "tf_efficientnet_lite0", "channels": 8},
        "num_slots": 7,
        "trained_epoch": 0,
    }
    save_run(good, tiny_network(), content)
    half, text, code = (tmp_path / name for name in ("half.pt", "text.pt", "code.pt"))
    half.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    text.write_text("this is no checkpoint")
    torch.save({"a": print}, code)
    other = tmp_path / "other.pt"
    save_run(other, tiny_network(), {**content, "settings": {**content["settings"], "channels": 16}})
    strange = tmp_path / "strange.pt"
    torch.save({"fc.weight": torch.zeros(3, 3)}, strange)
    for path in (half, text, code, other, strange, tmp_path / "missing.pt"):
        arguments = [
            "--checkpoint",
            str(path),
            "--dataset",
            "toy",
            "--fold",
            "1",
            "--way",
            "kway",
            "--output",
            str(tmp_path / "out"),
        ]
        line = tell(evaluate_cli.main, capsys, monkeypatch, *arguments, "--data-root", str(toy_root))
        assert path.name in line, line
    assert not (tmp_path / "out").exists()
    grown = tmp_path / "grown.pt"
    save_run(grown, tiny_network(num_slots=5), {**content, "num_slots": 5})
    line = tell(evaluate_cli.main, capsys, monkeypatch, "--checkpoint", str(grown), "--data-root", str(toy_root))
    assert "grown.pt: trained with 5 labels, and toy has" in line
    line = tell(evaluate_cli.main, capsys, monkeypatch, "--checkpoint", str(good), "--workers", "-1")
    assert "--workers" in line
    for size in ("1e6", "1e25", "5", "100000"):
        line = tell(evaluate_cli.main, capsys, monkeypatch, "--checkpoint", str(good), "--test-size", size)
        assert "--test-size" in line
    line = tell(evaluate_cli.main, capsys, monkeypatch, "--checkpoint", str(good), "--fold", "2")
    assert "--fold 1, not 2" in line


def test_a_run_folder_that_cannot_be_written(toy_root, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    line = tell(
        train_cli.main,
        capsys,
        monkeypatch,
        *TINY,
        "--data-root",
        str(toy_root),
        "--run-dir",
        str(tmp_path / "file" / "run"),
    )
    assert "file/run" in line and "cannot be written" in line


def test_an_error_of_a_loader_process_keeps_its_line_alone():
    wrapped = UserError(
        "Caught UserError in DataLoader worker process 0.\n"
        "Original Traceback:\n  x\nutils.errors.UserError: a.png: gone\n"
    )
    assert str(wrapped) == "a.png: gone"
