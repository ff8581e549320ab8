"""The ablation's runs and its table, with the programs' places taken by a note of what was asked."""

import json

import pytest

from engine.settings import TrainSettings
from tools import ablation
from utils.config import parse
from utils.errors import UserError

from .data_helpers import REPOSITORY


@pytest.fixture
def asked(monkeypatch):
    """The commands that the ablation starts; each evaluation writes figures."""
    commands = []

    def run(command, cwd):
        commands.append([str(part) for part in command[1:]])
        if commands[-1][0].endswith("evaluate.py"):
            out = commands[-1][commands[-1].index("--output") + 1]
            figures = {"human": 40.0 + len(commands), "base": 50.0, "novel": 20.0}
            (ablation.Path(out)).mkdir(parents=True)
            (ablation.Path(out) / "results.json").write_text(json.dumps({"figures": {"npm": figures}}))
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(ablation.subprocess, "run", run)
    return commands


def test_every_variant_is_trained_with_settings_that_exist_and_scored_once(asked, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    command = ["--seeds", "0", "1", "--folder", str(tmp_path)]
    ablation.main(command)
    trained = [arguments[1:] for arguments in asked if arguments[0].endswith("train.py")]
    assert len(trained) == 2 * (6 + 8), "padded supports and mixed batches are for 1-way"
    for arguments in trained:
        settings = parse(TrainSettings, arguments)
        assert (settings.eval_every, settings.train_on, settings.epochs) == (0, "all", 7)
    before = len(asked)
    capsys.readouterr()
    ablation.main(command)
    assert len(asked) == before, "what is done is not done again"
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 2 + 14 and "| kway | none" in table[2] and "| 2 " in table[2]


def test_a_program_that_fails_stops_the_ablation(tmp_path, monkeypatch):
    monkeypatch.setattr(ablation.subprocess, "run", lambda *_, **__: type("Done", (), {"returncode": 2}))
    with pytest.raises(UserError, match=r"kway_none_s0: train\.py did not end well"):
        ablation.main(["--folder", str(tmp_path)])
