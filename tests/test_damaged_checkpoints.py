"""Whatever stands in a checkpoint in the place of what belongs there, it costs one line that names the file."""

import json
import math
import resource

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from engine.checkpoint import open_for_evaluation
from engine.settings import EvaluateSettings
from networks.checkpoints import export_released, open_checkpoint
from utils.errors import UserError

from .own_photos import write_checkpoint

OF_SETTINGS = [
    ("encoder", None), ("encoder", []), ("encoder", 3), ("encoder", "no_such_encoder"),
    ("encoder", "vit_tiny_patch16_224"), ("channels", "16"), ("channels", 0), ("channels", 8), ("channels", 10**18),
    ("channels", True), ("channels", 16.0), ("method", "xyz"), ("method", {}),
    ("level", "low"), ("warmup_epochs", "x"), ("bank_momentum", 7.0),
    ("bank_momentum", math.nan), ("background", 0), ("way", "2way"), ("way", []), ("test_size", 1e18),
    ("test_size", 10**18), ("test_size", "x"), ("test_size", -1), ("hidden", 8),
]  # fmt: skip
OF_FILE = [
    ("settings", []), ("settings", "x"), ("settings", None), ("class_names", "x"), ("class_names", []),
    ("class_names", {"a": "b"}), ("class_names", {"1": 3}), ("class_names", {"99": "x"}), ("class_names", {"-1": "x"}),
    ("trained_epoch", "x"), ("trained_epoch", -1), ("trained_epoch", None), ("trained_epoch", math.inf),
    ("num_slots", 7), ("num_slots", "5"), ("num_slots", True), ("min_score", "x"), ("min_score", []),
    ("min_score", 7.0), ("min_score", math.nan), ("version", 99), ("version", "x"),
]  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A run's checkpoint and the released file of it."""
    folder = tmp_path_factory.mktemp("files")
    run = write_checkpoint(folder / "run.pt")
    export_released(run, folder / "out.safetensors", 0.5)
    return run, folder / "out.safetensors"


def refused(path):
    with pytest.raises(UserError) as caught:
        open_checkpoint(path).build()
    line = str(caught.value)
    assert path.name in line and "\n" not in line and len(line) < 500, line
    return line


def of_run(files, path, changes, inside=None):
    content = torch.load(files[0], weights_only=True)
    (content[inside] if inside else content).update(changes)
    torch.save(content, path)
    return path


def of_released(files, path, text):
    """The released file with other text in the place of its JSON."""
    with safe_open(files[1], "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    save_file(tensors, path, {**metadata, "content": text(json.loads(metadata["content"]))})
    return path


@pytest.mark.parametrize("name, value", OF_SETTINGS, ids=str)
def test_a_setting_that_cannot_be(name, value, files, tmp_path):
    refused(of_run(files, tmp_path / "bad.pt", {name: value}, "settings"))

    def text(content):
        return json.dumps({**content, "settings": {**content["settings"], name: value}})

    refused(of_released(files, tmp_path / "bad.safetensors", text))


@pytest.mark.parametrize("name, value", OF_FILE, ids=str)
def test_a_value_that_cannot_be(name, value, files, tmp_path):
    refused(of_run(files, tmp_path / "bad.pt", {name: value}))
    refused(of_released(files, tmp_path / "bad.safetensors", lambda content: json.dumps({**content, name: value})))


@pytest.mark.parametrize(
    "network",
    [
        None, [], {}, {"bank.rows": 3}, {"bank.rows": torch.zeros(())}, {"bank.rows": torch.zeros(5)},
        {"bank.rows": torch.zeros(1, 16).expand(10**9, 16)}, {1: torch.zeros(5, 16)},
        {"bank.rows": torch.zeros(5, 16), "previous.bank.rows": torch.zeros(2, 16)}, {"bank.rows": torch.zeros(5, 16)},
    ],
    ids=range(10),
)  # fmt: skip
def test_weights_that_are_none(network, files, tmp_path):
    refused(of_run(files, tmp_path / "bad.pt", {"network": network}))


def test_a_huge_encoder_takes_no_memory_before_its_shapes_are_compared(files, tmp_path):
    path = of_run(files, tmp_path / "bad.pt", {"encoder": "convnext_xxlarge"}, "settings")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 1_000_000, "3.4 GB of weights would be made"


@pytest.mark.parametrize(
    "change",
    [{"strange": torch.zeros(2)}, {"npm.scaler": torch.zeros(2)}, {"npm.scaler": torch.zeros(()).to_sparse()}],
    ids=("one too many", "another shape", "sparse"),
)
def test_one_tensor_that_does_not_fit(change, files, tmp_path):
    line = refused(of_run(files, tmp_path / "bad.pt", change, "network"))
    assert next(iter(change)) in line


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "{", '"x"', "[" * 10_000 + "]" * 10_000, "{}"])
def test_text_that_is_no_record(text, files, tmp_path):
    refused(of_released(files, tmp_path / "bad.safetensors", lambda content: text))


def test_a_file_of_newer_code_asks_for_it(files, tmp_path):
    assert "newer version" in refused(of_run(files, tmp_path / "bad.pt", {"version": 3}))


@pytest.mark.parametrize("name, value", [("fold", "one"), ("dataset", 3), ("lr", []), ("crop_size", [64])])
def test_evaluation_refuses_other_settings_too(name, value, files, tmp_path):
    path = of_run(files, tmp_path / "bad.pt", {name: value}, "settings")
    with pytest.raises(UserError, match=rf"bad\.pt: {name} cannot be"):
        open_for_evaluation(EvaluateSettings(checkpoint=str(path)))


def test_the_same_files_written_anew_do_open(files, tmp_path):
    run, released = tmp_path / "good.pt", tmp_path / "good.safetensors"
    for path in (of_run(files, run, {}), of_released(files, released, json.dumps)):
        assert open_checkpoint(path).build().num_slots == 5
