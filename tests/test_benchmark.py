"""The benchmark runs, writes its figures down, and sees every photo of an evaluation encoded once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TINY = [
    "--encoder",
    "tf_efficientnet_lite0",
    "--channels",
    "8",
    "--size",
    "64",
    "--train-size",
    "64",
    "--device",
    "cpu",
]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.benchmark", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
def test_the_figures_are_written_with_the_machines_name(tmp_path):
    short = [
        "--repeats",
        "1",
        "--queries",
        "2",
        "--supports",
        "3",
        "--threads",
        "1",
        "--json",
        str(tmp_path / "b.json"),
    ]
    done = run("inference", "evaluation", "training", *TINY, *short)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "b.json").read_text())
    assert found["machine"]["cpu"] and found["machine"]["threads"] == 1
    assert found["evaluation"]["pairs"] == 6
    assert found["evaluation"]["photos encoded"] == found["evaluation"]["distinct photos"] == 8
    ratios = (found["inference"]["parse / bare pass"], found["training"]["plain / fast"])
    assert all(ratio > 0 for ratio in ratios)


def test_an_unknown_choice_is_told_in_one_line():
    done = run("speed")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "inference, evaluation" in done.stderr
