# Sourced by the scripts here: goes to the project's folder and finds its Python.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}

# set_up REQUIREMENTS: make .venv where there is none and install into it; quick when nothing is missing.
set_up() {
    [ -x .venv/bin/python ] || python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$1"
    PYTHON=.venv/bin/python
}

# launch PROGRAM ARGUMENTS...: one process, or NGPU of them under torchrun.
launch() {
    if [ "${NGPU:-1}" -gt 1 ]; then
        exec "$PYTHON" -m torch.distributed.run --standalone --nproc_per_node "$NGPU" "$@"
    fi
    exec "$PYTHON" "$@"
}

# train SET METHOD WAY FOLD ARGUMENTS...
train() {
    launch train.py --dataset "$1" --method "$2" --way "$3" --fold "$4" "${@:5}"
}

# evaluate SET METHOD WAY FOLD DEFAULT_CHECKPOINT ARGUMENTS...: CHECKPOINT=... names another one.
evaluate() {
    launch evaluate.py --dataset "$1" --way "$3" --fold "$4" --checkpoint "${CHECKPOINT:-$5}" "${@:6}"
}
