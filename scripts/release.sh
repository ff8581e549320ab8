#!/usr/bin/env bash
# Train the checkpoint that comes with the project, on CCP-OS prepared with --with-tagged: bash scripts/release.sh --amp bf16.
# Arguments go to all trainings, but the last four have learning rates of their own. Started again, it goes on where it was.
# DATA_ROOT=packed takes the photos from there, EPOCHS="10 10 7 3 1 4 1" are those of the seven trainings. docs/model-card.md
# tells what comes out.
source "$(dirname "$0")/common.sh"
ROOT=${DATA_ROOT:-data/datasets}
read -r SMALL FIRST SECOND ALL ASKED FAR LAST <<< "${EPOCHS:-10 10 7 3 1 4 1}"
[ -n "$LAST" ] || { echo "error: EPOCHS: needs seven numbers, those of the seven trainings" >&2; exit 2; }
RECIPE=(--dataset ccp --data-root "$ROOT" --method aop --way kway --fold 0 @scripts/aop.args --pseudo-classes 3 --resume auto "$@")
WIDE=(--zoom 0.7 1.5 --weight-decay 0.05 --cache-mb 6000)

# label NAME: label the tagged photos with the last weights of runs/release_NAME, once; into runs/release_NAME/tagged.
label() {
    [ -e "runs/release_$1/labelled" ] ||
        "$PYTHON" -m tools.label_tagged --data-root "$ROOT" --checkpoint "runs/release_$1/last.pt" --out "runs/release_$1/tagged"
    touch "runs/release_$1/labelled"
}

# 1. A training on small photos, which then labels the tagged ones; 2. and 3. trainings on both, each with better labels.
"$PYTHON" train.py "${RECIPE[@]}" --crop-size 256 176 --test-size 256 --epochs "$SMALL" --run-dir runs/release_small
label small
"$PYTHON" train.py "${RECIPE[@]}" "${WIDE[@]}" --pretrained runs/release_small/last.pt --tagged runs/release_small/tagged \
    --epochs "$FIRST" --run-dir runs/release_first
label first
"$PYTHON" train.py "${RECIPE[@]}" "${WIDE[@]}" --pretrained runs/release_first/last.pt --tagged runs/release_first/tagged \
    --epochs "$SECOND" --run-dir runs/release_second

# 4. With all settings chosen, the photos of the validation list join in. 5. The presence of classes as often as they are met.
"$PYTHON" train.py "${RECIPE[@]}" "${WIDE[@]}" --pretrained runs/release_second/last.pt --tagged runs/release_first/tagged \
    --train-on all --lr 0.0002 --epochs "$ALL" --run-dir runs/release_all
"$PYTHON" train.py "${RECIPE[@]}" "${WIDE[@]}" --pretrained runs/release_all/last.pt --tagged runs/release_first/tagged \
    --train-on all --lr 0.00015 --presence-by question --epochs "$ASKED" --run-dir runs/release_asked

# 6. and 7. The same with better labels, and with people who are as small, and as far from the middle, as in everyday photos.
label asked
SMALL_TOO=(--tagged runs/release_asked/tagged --train-on all --surroundings 0.3)
"$PYTHON" train.py "${RECIPE[@]}" "${WIDE[@]}" --pretrained runs/release_asked/last.pt "${SMALL_TOO[@]}" \
    --lr 0.0002 --epochs "$FAR" --run-dir runs/release_far
"$PYTHON" train.py "${RECIPE[@]}" "${WIDE[@]}" --pretrained runs/release_far/last.pt "${SMALL_TOO[@]}" \
    --lr 0.00015 --presence-by question --epochs "$LAST" --run-dir runs/release
