"""The house stays as it is built: imports run one way, and every script starts."""

import ast
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {"networks", "dataloaders", "utils"}
MAY_IMPORT = {  # room -> rooms that it may import from
    "utils": {"utils"},
    "networks": {"networks", "utils"},
    "dataloaders": {"dataloaders", "utils"},
    "engine": {"engine", *ROOMS},
    "inference": {"inference", *ROOMS},
    "tools": {"tools", "engine", "inference", "predict", "train", "tests", *ROOMS},
}
OWN = {*MAY_IMPORT, "train", "evaluate", "predict", "demo", "scripts", "tests"}
SETS = ("atr", "lip", "cihp", "ccp")
EOP, POP = (
    [f"{s}_{m}_{way}f{fold}.sh" for s in SETS for way in ("kw", "1w") for fold in (1, 2)] for m in ("eop", "pop")
)
SCRIPTS = [*EOP, "atr_pop_1wf2.sh", "ccp_pop_kwf1.sh"]  # the rest of POPNet's are these but for the names


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module and not node.level
    }
    return {name.split(".")[0] for name in names} & OWN


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_one_way(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        assert imported(path) <= MAY_IMPORT[package], path


def test_no_network_names_a_device():
    for path in sorted((ROOT / "networks").rglob("*.py")):
        text = path.read_text()
        assert ".cuda(" not in text and '"cuda"' not in text, path


def test_the_code_is_clean():
    ruff = pytest.importorskip("ruff")
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([ruff.find_ruff_bin(), *command, "."], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def run(script: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", f"scripts/{script}", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def dry_runs() -> dict[str, subprocess.CompletedProcess]:
    """Every script started with --dry-run and one argument of the user's, two at a time."""
    calls = [(name, "--epochs=3") for name in SCRIPTS] + [(f"evaluate_{name}", "--save-pictures=3") for name in SCRIPTS]
    with ThreadPoolExecutor(2) as pool:
        return dict(
            zip((name for name, _ in calls), pool.map(lambda call: run(*call, "--dry-run"), calls), strict=True)
        )


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_starts_dry(name, dry_runs):
    dataset, method, rest = name.removesuffix(".sh").split("_")
    way, fold = {"kw": "kway", "1w": "1way"}[rest[:2]], int(rest[-1])
    for done in (dry_runs[name], dry_runs[f"evaluate_{name}"]):
        assert done.returncode == 0, done.stderr
        settings = json.loads(done.stdout)
        assert (settings["dataset"], settings["way"], settings["fold"]) == (dataset, way, fold)
        assert settings.get("method", method) == method
        assert settings.get("level", "") in ("", {"eop": "mid", "pop": "high"}[method])
        assert settings.get("epochs", 3) == 3 and settings.get("save_pictures", 3) == 3
    theirs, ours = f"data/pretrained_model/{dataset}_{rest}.pth", f"runs/{dataset}_{method}_{way}_f{fold}/last.pt"
    assert settings["checkpoint"] == (ours if dataset == "ccp" or method == "pop" else theirs)


@pytest.mark.parametrize("eop, pop", list(zip(EOP, POP, strict=True)))
def test_popnets_scripts_differ_in_the_method_alone(eop, pop):
    ours, theirs = ((ROOT / "scripts" / name).read_text().splitlines() for name in (pop, eop))
    assert ours[2:] == [line.replace(" eop ", " pop ") for line in theirs[2:]]
    dataset, _, rest = pop.removesuffix(".sh").split("_")
    way, fold = {"kw": "kway", "1w": "1way"}[rest[:2]], rest[-1]
    last = (ROOT / "scripts" / f"evaluate_{pop}").read_text().splitlines()[-1]
    assert last == f'evaluate {dataset} pop {way} {fold} runs/{dataset}_pop_{way}_f{fold}/last.pt "$@"'


def test_training_settings_default_to_the_published_ones():
    done = run("atr_eop_kwf1.sh", "--dry-run")
    settings = json.loads(done.stdout)
    published = {
        "encoder": "xception65",
        "hidden": 256,
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


def test_missing_files_are_told_in_one_line():
    done = run("evaluate_atr_eop_1wf2.sh")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "atr_1wf2.pth" in done.stderr and "train one" in done.stderr
