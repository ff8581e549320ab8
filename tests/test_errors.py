"""Mistakes are told in one line by whichever process meets them: denied folders, several processes, odd files."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.distributed.elastic.multiprocessing.api import SignalException

from dataloaders.reading import read_label
from engine.checkpoint import output_folder
from engine.settings import EvaluateSettings, TrainSettings
from inference.annotations import read_labels
from networks.checkpoints import Checkpoint, open_checkpoint
from networks.settings import NetworkSettings
from utils import launch as launcher
from utils.config import parse
from utils.errors import UserError, run_cli

from .own_photos import write_grey_png

ROOT = Path(__file__).resolve().parents[1]


def status_and_line(main, capsys) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stopped:
        run_cli(main)
    return stopped.value.code, capsys.readouterr().err


def test_memory_that_runs_out_in_opencv_is_one_line(capsys):
    def full() -> None:
        raise cv2.error("(-4:Insufficient memory) Failed to allocate 9000 bytes in function 'OutOfMemoryError'")

    status, line = status_and_line(full, capsys)
    assert status == 2 and line.startswith("error: memory has run out")


def test_a_message_is_one_line_whatever_it_quotes():
    assert str(UserError("a.pkl: broken (one,\n  two)")) == "a.pkl: broken (one, two)"


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied", "data/secret"),
        PermissionError(
            "Caught PermissionError in DataLoader worker process 0.\n[Errno 13] Permission denied: 'data/secret'"
        ),
    ],
)
def test_a_folder_that_may_not_be_entered(error, capsys):
    def main():
        raise error

    status, told = status_and_line(main, capsys)
    assert status == 2 and told.startswith("error: data/secret: permission denied") and told.count("\n") == 1


def test_of_several_processes_the_others_leave_the_line_to_the_launcher(tmp_path, capsys, monkeypatch):
    def main():
        raise UserError("a.png: no such image")

    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    monkeypatch.setenv("RANK", "1")
    assert status_and_line(main, capsys) == (2, "")
    assert json.loads((tmp_path / "error.json").read_text())["message"]["message"] == "a.png: no such image"
    monkeypatch.setenv("RANK", "0")
    assert status_and_line(main, capsys) == (2, "error: a.png: no such image\n")


def launch(*arguments: str, **more: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "NGPU": "2", "PYTHON": sys.executable, **more}
    command = ["bash", "scripts/ccp_eop_kwf1.sh", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, env=environment)


def test_a_mistake_under_several_processes_is_one_line(tmp_path):
    data, out = tmp_path / "data", tmp_path / "run"
    done = launch("--data-root", str(data), "--run-dir", str(out), "--pretrained", "none", "--device", "cpu")
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr and str(data) in done.stderr


def test_a_mistake_that_one_process_alone_meets_is_one_line(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, time\nfrom utils.errors import UserError, run_cli\n"
        "def main():\n    if os.environ['RANK'] == '1':\n        raise UserError('b.png: no such image')\n"
        "    time.sleep(60)\n"
        "run_cli(main)\n"
    )
    command = [sys.executable, "-m", "utils.launch", "--standalone", "--nproc_per_node", "2", str(program)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, env=environment)
    assert (done.returncode, done.stderr) == (2, "error: b.png: no such image\n")


def test_a_dry_run_under_several_processes_prints_once():
    done = launch("--dry-run")
    assert done.returncode == 0 and json.loads(done.stdout)["dataset"] == "ccp"


def test_a_stop_signal_under_several_processes_has_its_status(monkeypatch):
    def stopped(options):
        raise SignalException("stopped", signal.SIGTERM)

    monkeypatch.setattr("utils.launch.run", stopped)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert launcher.main(["--nproc_per_node", "2", "train.py"]) == 143


def test_a_data_set_is_called_as_the_catalogue_calls_it():
    settings = parse(TrainSettings, ["--dataset", "TOY"])
    assert settings.dataset == "toy"
    with pytest.raises(UserError, match="no fold 7"):
        parse(TrainSettings, ["--dataset", "toy", "--fold", "7", "--dry-run"])


def test_results_of_the_authors_checkpoints_do_not_overwrite_each_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = EvaluateSettings(checkpoint="data/atr_kwf1.pth", dataset="atr", fold=1, way="kway")
    theirs = Checkpoint(Path(asked.checkpoint), "authors", NetworkSettings(), "kway", 18, weights={}, epoch=39)
    assert str(output_folder(asked, theirs)) == "runs/atr_eop_kway_f1_authors"
    ours = dataclasses.replace(theirs, kind="run", record={"settings": {"dataset": "atr"}})
    assert str(output_folder(asked, ours)) == "data"
    of_lip = dataclasses.replace(ours, record={"settings": {"dataset": "lip"}})
    assert str(output_folder(asked, of_lip)) == "data/on_atr"
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="file/out: cannot be written"):
        output_folder(dataclasses.replace(asked, output="file/out"), theirs)


def test_a_checkpoint_is_found_from_the_callers_folder(tmp_path):
    (tmp_path / "mine.pt").write_text("no checkpoint")
    command = ["bash", str(ROOT / "scripts/evaluate_ccp_eop_kwf1.sh")]
    environment = {**os.environ, "CHECKPOINT": "mine.pt", "PYTHON": sys.executable}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 2 and f"{tmp_path}/mine.pt: " in done.stderr and "no such" not in done.stderr


def test_a_pickled_network_is_told_apart_from_a_truncated_file(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pt")
    with pytest.raises(UserError, match=r"whole\.pt: .*state_dict") as caught:
        open_checkpoint(tmp_path / "whole.pt")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_labels_of_few_bits_keep_their_ids(bits, tmp_path):
    label = np.random.default_rng(0).integers(0, 2**bits, (9, 7)).repeat(8, 0).repeat(8, 1)  # regions, as labels have
    write_grey_png(tmp_path / "label.png", label, bits)
    assert np.array_equal(read_label(tmp_path / "label.png", 16), label)
    assert np.array_equal(read_labels(tmp_path / "label.png"), label)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_options_in_a_file_are_read_in_the_encodings_of_windows(encoding, tmp_path, capsys):
    (tmp_path / "inner.args").write_bytes(b"--epochs\r\n7\r\n\r\n")
    content = f"--method=eop\r\n@{tmp_path}/inner.args\r\n--run-dir=caf\u00e9\r\n".encode(encoding)
    mark = b"\xff\xfe" if encoding == "utf-16-le" else b""
    (tmp_path / "own.args").write_bytes(mark + content)
    arguments = ["--way=1way", f"@{tmp_path}/own.args", "--dry-run"]
    if encoding == "latin-1":
        with pytest.raises(UserError, match=r"own\.args: cannot be read .*; it must be UTF-8 text, one option a line"):
            parse(TrainSettings, arguments)
        return
    with pytest.raises(SystemExit):
        parse(TrainSettings, arguments)
    told = json.loads(capsys.readouterr().out)
    assert [told[name] for name in ("way", "method", "epochs", "run_dir")] == ["1way", "eop", 7, "caf\u00e9"]


def test_a_file_of_options_that_is_missing_or_reads_itself_is_told(tmp_path):
    (tmp_path / "own.args").write_text(f"@{tmp_path}/own.args")
    with pytest.raises(UserError, match=r"own\.args: reads itself"):
        parse(TrainSettings, [f"@{tmp_path}/own.args"])
    with pytest.raises(UserError, match=r"none\.args: options cannot be read there \(No such file"):
        parse(TrainSettings, [f"@{tmp_path}/none.args"])
