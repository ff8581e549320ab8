"""POPNet's three label levels of a data set: 1 foreground, 2 main body areas, 3 fine classes (arXiv 2012.11810).

A stage's labels follow from the raw label map by one lookup table. In training, the pixels of novel classes are
background in stages 2 and 3, as the benchmark has it. Stage 1's foreground holds every part of a person, novel or not,
as the foreground mask does that EOPNet's coarse branch learns from.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from utils.constants import IGNORE, STAGES

from .spec import DatasetSpec

FOREGROUND, AREAS, FINE = range(1, STAGES + 1)


def stage_table(spec: DatasetSpec, stage: int, kept: Sequence[int] | None = None) -> np.ndarray:
    """Lookup table raw id -> the stage's id, uint8 (256,); 255 stays.

    `kept` lists the merged classes whose pixels may be seen in stages 2 and 3, by default all; the rest become
    background. Dropped labels belong to no class, so they stay part of their area.
    """
    if stage == FOREGROUND:
        return foreground_table(spec)
    merged = spec.merge_table()
    table = merged.copy() if stage == FINE else _area_table(spec)
    hidden = set(spec.classes) - {0, *(spec.classes if kept is None else kept)}
    table[[raw for raw in range(spec.num_slots) if merged[raw] in hidden]] = 0
    return table


def stage_class(spec: DatasetSpec, stage: int, class_id: int) -> int:
    """The stage's id of a merged class: itself, its body area, or 1 for the foreground."""
    return int(stage_table(spec, stage)[class_id])


def stage_spec(spec: DatasetSpec, stage: int) -> DatasetSpec:
    """The record of a stage's classes: names, folds and colours. Its label files are those of `spec`.

    An area counts as base where it holds a base class.
    """
    if stage == FINE:
        return spec
    names = ("background", "foreground") if stage == FOREGROUND else ("background", *spec.body_areas)
    parents = {c: stage_class(spec, stage, c) for c in spec.classes}
    return replace(
        spec,
        title=f"{spec.title}, stage {stage}",
        labels=names,
        classes=tuple(range(len(names))),
        base={fold: tuple(sorted({parents[c] for c in base})) for fold, base in spec.base.items()},
        evaluation_order=tuple(dict.fromkeys(parents[c] for c in spec.evaluation_order)),
        palette=spec.palette[: len(names)],
        merges={},
        dropped=(),
        mirrored=(),
        results={},
    )


def foreground_table(spec: DatasetSpec) -> np.ndarray:
    """Lookup table raw id -> 1 for any part of a person, dropped ones too; uint8 (256,), 255 stays."""
    table = np.zeros(256, dtype=np.uint8)
    table[1 : spec.num_slots] = 1
    table[IGNORE] = IGNORE
    return table


def _area_table(spec: DatasetSpec) -> np.ndarray:
    table = np.zeros(256, dtype=np.uint8)
    for area, raw_ids in enumerate(spec.body_areas.values(), start=1):
        table[list(raw_ids)] = area
    table[IGNORE] = IGNORE
    return table
