#!/usr/bin/env bash
# From nothing to pictures: sets up .venv, draws the toy data set, trains a small EOPNet on it, evaluates it.
# Further arguments go to train.py. A second run picks up where the first one stopped.
source "$(dirname "$0")/common.sh"
set_up requirements.txt
RUN=runs/quickstart
"$PYTHON" -m dataloaders.prepare toy
"$PYTHON" train.py @scripts/quickstart.args --run-dir "$RUN" "$@"
"$PYTHON" evaluate.py --checkpoint "$RUN/last.pt" --amp auto --save-pictures 6
echo "Done. Look at $RUN/pictures; docs/data.md tells how to go on to real photos."
