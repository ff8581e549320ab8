"""The photos of clothing-co-parsing that have image-level tags only: scaled, with the classes that their tags allow.

They give a training more photos once a network has labelled them (`tools/label_tagged.py`).
"""

from pathlib import Path

import numpy as np
from PIL import Image

from utils.errors import UserError
from utils.files import replacing, write_json

from .. import catalog
from ..layout import IMAGE_FOLDER, tagged_path
from ..reading import read_image
from .ccp import read_mat, tag_table
from .sources import JPEGS, files_by_id, find_folder

TEST_REPEATS = {"1074", "1293", "1694", "1913"}  # repeat shots of test photos
VAL_REPEATS = Path(__file__).parents[1] / "splits" / "ccp" / "val_repeats.txt"


def prepare_tagged(source: Path, root: Path, size: int) -> int:
    """Write the photos, the longest side at most `size` (0 keeps them), and the list of their classes; how many.

    Repeat shots of test and validation photos are left out. Photos that stand are kept.

    Raises `UserError` when a folder or file of the clone is missing or broken.
    """
    table, spec = tag_table(source), catalog.load("ccp")
    images = files_by_id(find_folder(source, "photos"), JPEGS)
    tags = files_by_id(find_folder(source, "annotations/image-level"), (".mat",))
    leave_out = TEST_REPEATS | set(VAL_REPEATS.read_text().split())
    classes: dict[str, list[str]] = {}
    for image_id in sorted(set(images) & set(tags) - leave_out):
        ids = table[read_mat(tags[image_id], "tags").ravel()]
        if (ids >= spec.num_slots).any():
            raise UserError(f"{tags[image_id]}: holds a tag id that label_list.mat does not name; replace the file")
        classes[image_id] = [spec.labels[i] for i in np.unique(ids).tolist() if i]
        target = root / IMAGE_FOLDER / f"{image_id}.jpg"
        if not target.exists():
            photo = Image.fromarray(read_image(images[image_id], published=True))
            if size and max(photo.size) > size:
                photo.thumbnail((size, size), Image.Resampling.LANCZOS)
            with replacing(target) as temporary:
                photo.save(temporary, "JPEG", quality=95)
    write_json(tagged_path(root), classes)
    return len(classes)
