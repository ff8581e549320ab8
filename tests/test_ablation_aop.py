"""The ablation of AOPNet: its variants are of settings and constants that exist, and are trained and scored once."""

import importlib
import sys
import types

import pytest

from engine.settings import TrainSettings
from tools import ablation, ablation_aop
from tools.ablation_aop import VARIANTS, Variant, code
from utils.config import parse

from .data_helpers import REPOSITORY


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_has_settings_and_constants_that_exist_and_differ(name, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    common = ["--dataset=ccp", "--method=aop", "--way=kway", "--fold=1", "@scripts/aop_ablation.args"]
    whole, settings = (parse(TrainSettings, [*common, *options]) for options in ((), VARIANTS[name].options))
    assert (settings != whole) == bool(VARIANTS[name].options) and settings.train_on == "rest"
    for constant, value in VARIANTS[name].constants:
        module, _, attribute = constant.rpartition(".")
        now = getattr(importlib.import_module(module), attribute)
        assert now != value and type(now) is type(value)


def test_a_program_runs_with_the_constants_of_its_variant(monkeypatch):
    import networks.aop_losses as losses

    monkeypatch.setattr(losses, "CONTRAST", 0.5)  # put back afterwards
    seen = []
    program = types.ModuleType("some_program")
    program.main = lambda: seen.append(losses.CONTRAST)
    monkeypatch.setitem(sys.modules, "some_program", program)
    with pytest.raises(SystemExit) as end:
        exec(code("some_program", Variant(constants=(("networks.aop_losses.CONTRAST", 0.0),))), {})
    assert end.value.code == 0
    assert seen == [0.0]
    with pytest.raises(AssertionError):
        exec(code("some_program", Variant(constants=(("networks.aop_losses.CONTRAAST", 0.0),))), {})


def test_what_is_done_is_not_done_again(monkeypatch, tmp_path, capsys):
    asked = []

    def run(command, cwd):
        asked.append(command[3:])
        if "--output" in command:
            out = ablation_aop.Path(command[command.index("--output") + 1])
            out.mkdir(parents=True)
            (out / "results.json").touch()
        return types.SimpleNamespace(returncode=0)

    monkeypatch.setattr(ablation.subprocess, "run", run)
    monkeypatch.setattr(ablation_aop, "side_by_side", lambda paths: "\n".join(paths))
    command = ["--variants", "contrast", "zoom", "--seeds", "0", "1", "--folder", str(tmp_path)]
    ablation_aop.main(command)
    assert len(asked) == 2 * 2 * 2 and all("--split=val" in rest for rest in asked[1::2])
    assert "--zoom" in asked[2] and "--seed=1" in asked[4]
    ablation_aop.main([*command, "--table"])
    ablation_aop.main(command)
    assert len(asked) == 8
    assert f"{tmp_path}/zoom_s1/val/results.json" in capsys.readouterr().out
