# Sourced by the scripts here: goes to the project's folder and finds its Python.
set -euo pipefail
CALLER=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}

# from_caller PATH: PATH as it was meant in the folder from which the script was called.
from_caller() {
    case $1 in /*) echo "$1" ;; *) echo "$CALLER/$1" ;; esac
}

# set_up REQUIREMENTS: make .venv where there is none and install into it; quick when nothing is missing.
set_up() {
    [ -x .venv/bin/python ] || python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$1"
    PYTHON=.venv/bin/python
}

# launch PROGRAM ARGUMENTS...: one process, or NGPU of them under torchrun. --dry-run needs one alone.
launch() {
    if [ "${NGPU:-1}" -gt 1 ] && [[ " $* " != *" --dry-run "* ]]; then
        exec "$PYTHON" -m utils.launch --standalone --nproc_per_node "$NGPU" "$@"
    fi
    exec "$PYTHON" "$@"
}

# run SET METHOD WAY FOLD ARGUMENTS...: train; EOPNet on the published sets as it was published. ARGUMENTS go to
# train.py; NGPU=4 trains on four GPUs.
run() {
    local recipe=()
    case $1_$2 in atr_eop | lip_eop | cihp_eop) recipe=(@scripts/published.args) ;; *_aop) recipe=(@scripts/aop.args) ;; esac
    launch train.py --dataset "$1" --method "$2" --way "$3" --fold "$4" ${recipe[@]+"${recipe[@]}"} "${@:5}"
}

# evaluate SET METHOD WAY FOLD ARGUMENTS...: score the checkpoint that CHECKPOINT=... names, in either folder; by
# default the authors' file where they released one, else the last one of the run folder.
evaluate() {
    local checkpoint=runs/$1_$2_$3_f$4/last.pt
    case $1_$2 in atr_eop | lip_eop | cihp_eop) checkpoint=data/pretrained_model/$1_${3%ay}f$4.pth ;; esac
    if [ -n "${CHECKPOINT:-}" ]; then
        checkpoint=$CHECKPOINT
        [ ! -e "$(from_caller "$CHECKPOINT")" ] || checkpoint=$(from_caller "$CHECKPOINT")
    fi
    launch evaluate.py --dataset "$1" --way "$3" --fold "$4" --checkpoint "$checkpoint" "${@:5}"
}
