"""The house stays as it is built: imports run one way, and the code is clean."""

import ast
import subprocess
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
    "tools": {"tools", "engine", "inference", "train", "tests", *ROOMS},
}
OWN = {*MAY_IMPORT, "train", "evaluate", "predict", "demo", "scripts", "tests"}


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
