"""The Slurm script, with stand-ins for Slurm's two programs: it starts train.py under torchrun on every node."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_script_launches_torchrun_with_the_jobs_shape(tmp_path):
    for name, line in (("scontrol", "printf 'n1\\nn2\\n'"), ("srun", 'printf "%s\\n" "$@"')):
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{line}\n")
        (tmp_path / name).chmod(0o755)
    job = {"SUBMIT_DIR": str(ROOT), "JOB_NODELIST": "n[1-2]", "NNODES": "2", "GPUS_ON_NODE": "4", "JOB_ID": "17"}
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": "python3"}
    environment |= {f"SLURM_{name}": value for name, value in job.items()}
    done = subprocess.run(
        ["bash", "scripts/slurm.sh", "--dataset", "cihp"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    shape = ["--nnodes", "2", "--nproc_per_node", "4"]
    meeting = ["--rdzv_backend", "c10d", "--rdzv_id", "17", "--rdzv_endpoint", "n1:29500"]
    program = ["train.py", "--resume", "auto", "--dataset", "cihp"]
    assert done.stdout.split() == ["python3", "-m", "torch.distributed.run", *shape, *meeting, *program]
