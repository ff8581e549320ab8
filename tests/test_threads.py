"""Idle threads do not spin for long, in every program, unless the user says otherwise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TELL = """
import os, sys
class Watch:
    def find_spec(name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("GOMP_SPINCOUNT", "unset"), flush=True)
            os._exit(0)
sys.meta_path.insert(0, Watch)
"""
PROGRAMS = [
    "import train; train.train(None)",
    "import evaluate; evaluate.evaluate(None)",
    "import predict; predict.OneShotParser",
    "import demo; from inference.page import actions",
    "import tools.benchmark",
    "import tools.score_user",
]


def spin_count(program: str, **environment: str) -> str:
    plain = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", TELL + program], cwd=ROOT, capture_output=True, text=True, env=plain | environment
    )
    return done.stdout.strip()


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_is_said_before_torch_is_imported(program):
    assert spin_count(program) == "1000"


def test_what_the_user_says_stays():
    assert spin_count(PROGRAMS[0], GOMP_SPINCOUNT="7") == "7"
    assert spin_count(PROGRAMS[0], OMP_WAIT_POLICY="active") == "unset"
