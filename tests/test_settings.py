"""Options that a method has no use for are refused, and what is refused says what works."""

import dataclasses
from pathlib import Path

import pytest

from engine import resume
from engine.checkpoint import open_for_evaluation, use_bank
from engine.settings import EvaluateSettings, TrainSettings
from inference.settings import DEFAULT_CHECKPOINT
from networks.checkpoints import open_checkpoint, save_run
from utils.config import parse
from utils.errors import UserError

from .data_helpers import REPOSITORY
from .own_photos import network, write_checkpoint

OF_THE_PUBLISHED = [
    ("--level", "high"), ("--warmup-epochs", "3"), ("--scale", "0.1", "9"), ("--unlabelled-person", "ignore"),
    ("--resample-supports",), ("--mixed-batches",), ("--npm-lr-scale", "0"), ("--npm-threshold", "0.1"),
    ("--momentum", "0.1"),
]  # fmt: skip
OF_EOP = [
    ("--temperature", "3"), ("--kaiming-init",), ("--padding-in-prototypes",), ("--coarse-running-mean",),
    ("--coarse-background-pass",),
]  # fmt: skip
OF_POP = [("--background", "ucs"), ("--stage", "1")]
OF_AOP = [
    ("--zoom", "0.5", "1"), ("--tagged", "x"), ("--balance", "1"), ("--surroundings", "1"), ("--pseudo-classes", "2"),
    ("--presence-by", "question"),
]  # fmt: skip
OTHERS = {"aop": OF_THE_PUBLISHED + OF_EOP + OF_POP, "eop": OF_POP + OF_AOP, "pop": OF_EOP + OF_AOP}


@pytest.mark.parametrize("method", OTHERS)
def test_an_option_of_another_method_is_refused_by_its_name(method):
    parse(TrainSettings, ["--method", method])
    for option, *values in OTHERS[method]:
        with pytest.raises(UserError, match=f"^{option} is for --method [eop, ra]+, not {method}; leave it away$"):
            parse(TrainSettings, ["--method", method, option, *values])


def test_evaluation_refuses_what_the_network_lacks(tmp_path):
    path = str(write_checkpoint(tmp_path / "eop.pt"))
    with pytest.raises(UserError, match=r"^--no-refine is for --method aop, not eop; leave it away$"):
        open_for_evaluation(EvaluateSettings(checkpoint=path, refine=False))
    open_for_evaluation(EvaluateSettings(checkpoint=path, agm=True))


def test_help_names_the_methods(capsys):
    with pytest.raises(SystemExit):
        parse(TrainSettings, ["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "eop, pop: range of the random resize factors" in text and "aop: how much oftener" in text


def test_a_run_that_began_with_such_options_goes_on_without_them(tmp_path):
    old = {"method": "aop", "dataset": "toy", "channels": 16, "level": "mid", "scale": [0.1, 9.0], "momentum": 0.1}
    old["zoom"] = [0.88, 1.32]
    place = {"position": {"epoch": 1, "batch": 0}, "steps": 4, "best": -1.0, "history": []}
    save_run(tmp_path / "last.pt", network(), {"settings": old, "num_slots": 5, "trained_epoch": 0, **place})
    now = TrainSettings(method="aop", dataset="toy", channels=16, run_dir=str(tmp_path), resume="auto")
    assert resume.saved_run(now)
    with pytest.raises(UserError, match=r"was trained with --zoom \[0.88, 1.32\]"):
        resume.saved_run(dataclasses.replace(now, zoom=(1.0, 2.0)))


@pytest.mark.parametrize(
    "option, value, told",
    [
        ("--temperature", "1e7", "10000000.0: must be greater than 0, at most 1e+06"),
        ("--temperature", "0", "0.0: must be greater than 0, at most 1e+06"),
        ("--layer-decay", "2", "2.0: must be greater than 0, at most 1"),
        ("--epochs", "0", "0: must be at least 1, at most 1e+06"),
        ("--fold", "10000000", "10000000: must be at most 1e+06"),
    ],
)
def test_a_number_out_of_range_is_told_the_range(option, value, told):
    with pytest.raises(UserError) as caught:
        parse(TrainSettings, [option, value])
    assert str(caught.value) == f"{option} {told}"


def test_a_rate_that_falls_in_steps_has_no_warmup():
    with pytest.raises(UserError, match=r"--lr-warmup.*is for --schedule poly"):
        parse(TrainSettings, ["--method", "aop", "@scripts/aop.args", "--schedule", "steps"])


def test_old_names_of_options_work_and_tell_the_new_ones(tmp_path, capsys):
    settings = parse(TrainSettings, ["--hidden", "8", "--hidden-pixels", "class"])
    assert (settings.channels, settings.unlabelled_person) == (8, "class")
    told = capsys.readouterr().err.splitlines()
    assert told == ["--hidden is now --channels", "--hidden-pixels is now --unlabelled-person"]
    checkpoint = str(write_checkpoint(tmp_path / "tiny.pt"))  # of epoch 3, behind its warm-up
    for words, bank in (([], True), (["--epoch", "0"], False)):
        asked = parse(EvaluateSettings, ["--checkpoint", checkpoint, *words])
        assert use_bank(asked, open_for_evaluation(asked)) == bank
    assert capsys.readouterr().err == "--epoch is now --prototypes\n"


def test_the_trainings_of_the_docs_have_settings_that_exist(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    quick = parse(TrainSettings, ["@scripts/quickstart.args"])
    assert (quick.dataset, quick.method, quick.resume) == ("toy", "eop", "auto")
    mine = parse(TrainSettings, ["--dataset", "toy", "@scripts/collection.args", "--train-on", "all"])
    assert (mine.method, mine.fold, mine.epochs, max(mine.crop_size)) == ("aop", 0, 12, 384)
    start = open_checkpoint(mine.pretrained)
    assert Path(mine.pretrained).samefile(DEFAULT_CHECKPOINT)
    assert (start.settings.encoder, start.settings.channels) == (mine.encoder, mine.channels)
