"""The scripts of the published runs: each names its set, method, way and fold, and starts with them."""

import functools
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = {  # name -> set, method, way, fold
    f"{dataset}_{method}_{short}f{fold}.sh": f"{dataset} {method} {way} {fold}"
    for dataset, method, (short, way), fold in itertools.product(
        ("atr", "lip", "cihp", "ccp"), ("eop", "pop", "aop"), (("kw", "kway"), ("1w", "1way")), (1, 2)
    )
    if (method, way) != ("aop", "1way")  # AOPNet is k-way alone
}
TEXT = '#!/usr/bin/env bash\nsource "$(dirname "$0")/common.sh"\n{verb} {what} "$@"\n'


def run(script: str | Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = ["bash", str(ROOT / "scripts" / script), *arguments]
    plain = {k: v for k, v in os.environ.items() if k not in ("CHECKPOINT", "NGPU")}
    environment = plain | {"PYTHON": sys.executable} | environment
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, env=environment)


def test_every_run_has_its_two_scripts_by_name():
    named = {path.name for way in ("kw", "1w") for path in (ROOT / "scripts").glob(f"*_{way}f*.sh")}
    assert len(SCRIPTS) == 40 and named == {*SCRIPTS, *(f"evaluate_{name}" for name in SCRIPTS)}


@pytest.mark.parametrize("prefix, verb", [("", "run"), ("evaluate_", "evaluate")])
def test_a_script_runs_what_its_name_says(prefix, verb):
    for name, what in SCRIPTS.items():
        path = ROOT / "scripts" / (prefix + name)
        assert path.read_text() == TEXT.format(verb=verb, what=what), path
        assert os.access(path, os.X_OK), path


@functools.cache
def dry_run(script: str, argument: str) -> dict:
    """The settings with which a script starts."""
    done = run(script, "--dry-run", argument)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name, level", [("atr_eop_kwf1.sh", "mid"), ("lip_pop_1wf2.sh", "high")])
def test_a_training_script_starts_with_its_settings_and_the_callers(name, level):
    dataset, method, way, fold = SCRIPTS[name].split()
    settings = dry_run(name, "--workers=3")
    assert [settings[k] for k in ("dataset", "method", "way", "fold")] == [dataset, method, way, int(fold)]
    assert (settings["level"], settings["workers"]) == (level, 3)


@pytest.mark.parametrize(
    "name, checkpoint",
    [
        ("atr_eop_1wf2.sh", "data/pretrained_model/atr_1wf2.pth"),
        ("cihp_pop_kwf1.sh", "runs/cihp_pop_kway_f1/last.pt"),
    ],
)
def test_an_evaluation_script_starts_with_its_settings_and_the_callers(name, checkpoint):
    dataset, _, way, fold = SCRIPTS[name].split()
    settings = dry_run(f"evaluate_{name}", "--save-pictures=3")
    assert [settings[k] for k in ("dataset", "way", "fold", "save_pictures")] == [dataset, way, int(fold), 3]
    assert settings["checkpoint"] == checkpoint


def test_every_evaluation_has_the_default_checkpoint_of_its_run(tmp_path):
    """Python's place is taken by a program that prints what it is called with."""
    echo = tmp_path / "echo.sh"
    echo.write_text('#!/usr/bin/env bash\necho "$@"\n')
    echo.chmod(0o755)
    for name, what in SCRIPTS.items():
        dataset, method, way, fold = what.split()
        theirs, ours = f"data/pretrained_model/{dataset}_{name.split('_')[2]}", f"runs/{dataset}_{method}_{way}_f{fold}"
        authors = method == "eop" and dataset != "ccp"
        checkpoint = theirs.replace(".sh", ".pth") if authors else f"{ours}/last.pt"
        done = run(f"evaluate_{name}", "more", PYTHON=str(echo))
        expected = f"evaluate.py --dataset {dataset} --way {way} --fold {fold} --checkpoint {checkpoint} more"
        assert done.stdout.strip() == expected


def test_a_copy_under_another_name_runs_the_same_from_any_folder(tmp_path):
    folder = tmp_path / "project/scripts"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "scripts/common.sh", folder)
    shutil.copy(ROOT / "scripts/ccp_pop_1wf2.sh", folder / "mine.sh")
    (tmp_path / "project/train.py").write_text("import sys\nprint(sys.argv[1:])\n")
    done = subprocess.run(
        ["bash", "project/scripts/mine.sh", "--epochs", "2"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    expected = ["--dataset", "ccp", "--method", "pop", "--way", "1way", "--fold", "2", "--epochs", "2"]
    assert done.stdout.strip() == str(expected), done.stderr


def test_eopnet_trains_as_published_on_the_published_sets_alone():
    departures = {
        "schedule": "steps",
        "kaiming_init": True,
        "padding_in_prototypes": True,
        "coarse_running_mean": True,
        "coarse_background_pass": True,
        "mixed_batches": True,
        "eval_every": 10,
        "keep_every": 10,
    }
    settings = dry_run("atr_eop_kwf1.sh", "--workers=3")
    assert {name: settings[name] for name in departures} == departures
    assert dry_run("cihp_eop_1wf2.sh", "--schedule=poly")["schedule"] == "poly", "the caller's option goes first"
    for name in ("ccp_eop_1wf2.sh", "lip_pop_1wf2.sh"):
        settings = dry_run(name, "--workers=3")
        assert not any(settings[name] == value for name, value in departures.items()), name


def test_a_published_set_trains_with_the_published_numbers():
    settings = dry_run("atr_eop_kwf1.sh", "--workers=3")
    published = {
        "encoder": "xception65",
        "channels": 256,
        "level": "mid",
        "batch_size": 2,
        "lr": 0.001,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "power": 0.9,
        "epochs": 50,
        "warmup_epochs": 25,
        "temperature": 0.1,
        "crop_size": [512, 512],
        "scale": [0.5, 2.0],
        "bank_momentum": 0.001,
        "pretrained": "data/pretrained_model/deeplab_v3plus_v3.pth",
    }
    assert {name: settings[name] for name in published} == published


def test_missing_files_are_told_in_one_line(tmp_path):
    done = run("evaluate_atr_eop_1wf2.sh", CHECKPOINT=str(tmp_path / "atr_1wf2.pth"))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "atr_1wf2.pth" in done.stderr and "train one" in done.stderr
