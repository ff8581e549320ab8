#!/usr/bin/env bash
# Train on a Slurm cluster, on one node or several: `sbatch --nodes 2 scripts/slurm.sh --dataset cihp --fold 1 --way kway`.
# Arguments go to train.py. Adapt the lines below to your cluster. Slurm sends SIGTERM two minutes before the time is up:
# the run then finishes its step, writes last.pt and ends; submit the same line again, and it goes on from there.
#SBATCH --job-name=one-shot-parsing
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?submit this script with sbatch from the folder of the project}"
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=110    # torchrun else ends the processes after 30 seconds
HEAD_NODE=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)

srun "$PYTHON" -m torch.distributed.run \
    --nnodes "$SLURM_NNODES" --nproc_per_node "$SLURM_GPUS_ON_NODE" \
    --rdzv_backend c10d --rdzv_id "$SLURM_JOB_ID" --rdzv_endpoint "$HEAD_NODE:${PORT:-29500}" \
    train.py --resume auto "$@"
