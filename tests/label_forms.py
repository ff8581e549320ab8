"""One small scene in every form in which people keep labels: a shirt and a hat on grey, for eight photos."""

import base64
import csv
import json
import zlib

import numpy as np
from PIL import Image

from .data_helpers import png_bytes

SIZE = (64, 96)  # height and width
SHIRT, HAT = (10, 10, 50, 50), (60, 10, 80, 30)  # left, top, right, bottom
COLOURS = {"shirt": (176, 112, 32), "hat": (48, 112, 32)}
NUMBER = 8


def box(corners):
    left, top, right, bottom = corners
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def label_map(shirt=1, hat=2):
    label = np.zeros(SIZE, np.uint8)
    for value, (left, top, right, bottom) in ((shirt, SHIRT), (hat, HAT)):
        label[top:bottom, left:right] = value
    return label


def photo(i=0):
    pixels = np.full((*SIZE, 3), 90 + i, np.uint8)
    pixels[label_map() == 1], pixels[label_map() == 2] = (192, 0, 0), (0, 0, 192)
    return pixels


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def write(path, content, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((content if isinstance(content, str) else json.dumps(content)).encode(encoding))


def photos(folder, name="p{}.jpg"):
    for i in range(NUMBER):
        save(folder / name.format(i), photo(i))


def coco(source, change=None, name="p{}.jpg", encoding="utf-8", file="result.json", folder="images"):
    """Polygons; `change(content)` spoils them."""
    photos(source / folder)
    flat = {c: [np.ravel(box(corners)).tolist()] for c, corners in ((1, SHIRT), (2, HAT))}
    content = {
        "images": [{"id": i, "file_name": name.format(i), "width": 96, "height": 64} for i in range(NUMBER)],
        "categories": [{"id": 1, "name": "shirt"}, {"id": 2, "name": "hat"}],
        "annotations": [
            {"id": 10 * i + c, "image_id": i, "category_id": c, "segmentation": flat[c], "iscrowd": 0}
            for i in range(NUMBER)
            for c in (1, 2)
        ],
    }
    if change:
        change(content)
    write(source / file, content, encoding)


def each_annotation(change):
    def apply(content):
        for annotation in content["annotations"]:
            change(annotation)

    return apply


def as_run_lengths(annotation):
    mask = label_map() == annotation["category_id"]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.T.ravel(), [0]]))).tolist()
    counts = np.diff([0, *edges, mask.size]).tolist()
    annotation["segmentation"] = {"size": [*SIZE], "counts": counts}


def as_packed_lengths(annotation):
    from pycocotools import mask

    code = mask.encode(np.asfortranarray(label_map() == annotation["category_id"], dtype=np.uint8))
    annotation["segmentation"] = {"size": code["size"], "counts": code["counts"].decode()}


def with_another(segmentation, **more):
    """A further annotation on each photo, which cannot be used."""

    def apply(content):
        content["annotations"] += [
            {"id": 900 + i, "image_id": i, "category_id": 1, "segmentation": segmentation, **more}
            for i in range(NUMBER)
        ]

    return apply


def two_of_one_name(content):
    content["categories"].append({"id": 5, "name": "hat"})
    content["annotations"][1]["category_id"] = 5


def unused_parent(content):
    content["categories"].insert(0, {"id": 0, "name": "clothes", "supercategory": "none"})


def with_background(content):
    content["categories"].insert(0, {"id": 0, "name": "Background"})


def labelme(source, shape=None, encoding="utf-8", name="p{}.jpg", folder="", photo_folder="", **more):
    """Polygons; `shape` takes the shirt's place."""
    photos(source / photo_folder)
    shirt = shape or {"label": "shirt", "points": box(SHIRT), "shape_type": "polygon"}
    hat = {"label": "hat", "points": box(HAT), "shape_type": "polygon"}
    for i in range(NUMBER):
        content = {"shapes": [shirt, hat], "imagePath": name.format(i), "imageHeight": 64, "imageWidth": 96, **more}
        write(source / folder / f"p{i}.json", content, encoding)


def shirt_shape(kind, points):
    return {"label": "shirt", "points": points, "shape_type": kind}


def index_png(source, names=None, label=None, folders=("images", "labels"), ends=("jpg", "png")):
    """Index PNGs, with a labels.txt of the `names` where these are given."""
    for i in range(NUMBER):
        save(source / folders[0] / f"p{i}.{ends[0]}", photo(i))
        save(source / folders[1] / f"p{i}.{ends[1]}", label_map() if label is None else label)
    if names is not None:
        write(source / "labels.txt", names)


def in_colours(colours):
    pixels = np.zeros((*SIZE, 3), np.uint8)
    for value, colour in enumerate(colours, 1):
        pixels[label_map() == value] = colour
    return pixels


def cvat(source):
    index_png(source, label=in_colours(COLOURS.values()), folders=("JPEGImages", "SegmentationClass"))
    lines = [f"{name}:{','.join(map(str, rgb))}::" for name, rgb in {"background": (0, 0, 0), **COLOURS}.items()]
    write(source / "labelmap.txt", "\n".join(["# label:color_rgb:parts:actions", *lines]))


def cvat_in_a_palette(source):
    """As a program saves the colours that numbers them as it likes: the shirt's is 0."""
    cvat(source)
    for path in (source / "SegmentationClass").iterdir():
        picture = Image.fromarray(np.array([2, 0, 1], np.uint8)[label_map()])
        picture.putpalette(np.ravel([*COLOURS.values(), (0, 0, 0)]).tolist())
        picture.save(path)


def pascal_voc(source, label=None):
    index_png(source, label=label, folders=("JPEGImages", "SegmentationClass"))
    photos(source / "JPEGImages", "without{}.jpg")
    write(source / "ImageSets/Segmentation/train.txt", "p0\np1\np2\np3\n")
    write(source / "ImageSets/Segmentation/val.txt", "p4\np5\np6\np7\n")


def roboflow_masks(source, splits=("train", "valid", "test")):
    for i in range(NUMBER):
        folder = source / splits[(0, 0, 0, 0, 1, 1, 2, 2)[i] % len(splits)]
        save(folder / f"p{i}_jpg.rf.a{i}b.jpg", photo(i))
        save(folder / f"p{i}_jpg.rf.a{i}b_mask.png", label_map())
        with (folder / "_classes.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["Pixel Value", " Class"], [0, " background"], [1, " shirt"], [2, " hat"]])


def roboflow_coco(source):
    """Three folders, each with an annotation file of its own."""
    for folder, first, last in (("train", 0, 4), ("valid", 4, 6), ("test", 6, 8)):

        def of_this_split(content, first=first, last=last):
            content["images"] = content["images"][first:last]

        coco(source / folder, of_this_split, file="_annotations.coco.json", folder="")
        for i in range(NUMBER):
            if not first <= i < last:
                (source / folder / f"p{i}.jpg").unlink()


def coco_of_two_files(source):
    """As COCO itself comes: annotations/instances_train.json and instances_val.json."""
    for name, first, last in (("train", 0, 4), ("val", 4, 8)):

        def of_this_split(content, first=first, last=last):
            content["images"] = content["images"][first:last]

        coco(source, of_this_split, file=f"annotations/instances_{name}2017.json")


def supervisely(source, polygons=False):
    photos(source / "ds/img")
    write(source / "meta.json", {"classes": [{"title": "shirt"}, {"title": "hat"}], "tags": []})
    objects = []
    for name, corners in (("shirt", SHIRT), ("hat", HAT)):
        left, top, right, bottom = corners
        if polygons:
            points = {"exterior": box(corners), "interior": []}
            objects.append({"classTitle": name, "geometryType": "polygon", "points": points})
        else:
            content = png_bytes(np.full((bottom - top, right - left), 255, np.uint8))
            bitmap = {"data": base64.b64encode(zlib.compress(content)).decode(), "origin": [left, top]}
            objects.append({"classTitle": name, "geometryType": "bitmap", "bitmap": bitmap})
    for i in range(NUMBER):
        write(source / f"ds/ann/p{i}.jpg.json", {"size": {"height": 64, "width": 96}, "objects": objects})


def with_strays(source):
    coco(source)
    write(source / ".vscode/settings.json", "{\n // fonts\n}")
    write(source / "names.json", '{"1": "hat"', "utf-16")
    write(source / "__MACOSX/images/._p0.jpg", "x")
    write(source / "images/Thumbs.db", "x")
    write(source / "images/~$p0.jpg", "x")


FORMS = {
    "coco": coco,
    "coco with backslashes": lambda s: coco(s, name="images\\p{}.jpg"),
    "coco with a drive letter": lambda s: coco(s, name="C:\\Users\\me\\images\\p{}.jpg"),
    "coco with names in capitals": lambda s: coco(s, name="P{}.JPG"),
    "coco in UTF-16": lambda s: coco(s, encoding="utf-16"),
    "coco with a byte order mark": lambda s: coco(s, encoding="utf-8-sig"),
    "coco in a folder of its own": lambda s: coco(s, file="annotations/instances.json"),
    "coco with flat lists": lambda s: coco(
        s, each_annotation(lambda a: a.update(segmentation=a["segmentation"][0]))
    ),
    "coco with pairs": lambda s: coco(
        s, each_annotation(lambda a: a.update(segmentation=np.reshape(a["segmentation"][0], (-1, 2)).tolist()))
    ),
    "coco with packed run lengths": lambda s: coco(s, each_annotation(as_packed_lengths)),
    "coco with run lengths": lambda s: coco(s, each_annotation(as_run_lengths)),
    "coco with ids as text": lambda s: coco(s, each_annotation(lambda a: a.update(image_id=str(a["image_id"])))),
    "coco with ids as 1.0": lambda s: coco(s, each_annotation(
        lambda a: a.update(image_id=float(a["image_id"]), category_id=float(a["category_id"]))
    )),
    "coco with crowds as text": lambda s: coco(s, each_annotation(lambda a: a.update(iscrowd="0"))),
    "coco with brush masks, as CVAT writes them": lambda s: coco(s, each_annotation(
        lambda a: (as_run_lengths(a), a.update(iscrowd=1, attributes={"occluded": False}))
    )),
    "coco without sizes": lambda s: coco(
        s, lambda c: [image.pop(side) for image in c["images"] for side in ("width", "height")]
    ),
    "coco with run lengths in lists": lambda s: coco(s, each_annotation(
        lambda a: (as_run_lengths(a), a.update(segmentation=[a["segmentation"]]))
    )),
    "coco with two categories of one name": lambda s: coco(s, two_of_one_name),
    "coco with an unused category 0": lambda s: coco(s, unused_parent),
    "coco with a background": lambda s: coco(s, with_background),
    "coco among stray files": with_strays,
    "coco in two files": coco_of_two_files,
    "roboflow's coco in three folders": roboflow_coco,
    "roboflow's masks in three folders": roboflow_masks,
    "roboflow's masks in one folder": lambda s: roboflow_masks(s, ("",)),
    "supervisely's bitmaps": supervisely,
    "supervisely's polygons": lambda s: supervisely(s, polygons=True),
    "cvat's colours": cvat,
    "cvat's colours in a palette": cvat_in_a_palette,
    "pascal voc": lambda s: (pascal_voc(s), write(s / "labels.txt", "background\nshirt\nhat")),
    "pascal voc in its colours": lambda s: (
        pascal_voc(s, in_colours([(128, 0, 0), (0, 128, 0)])), write(s / "labels.txt", "background\nshirt\nhat"),
    ),
    "labelme": labelme,
    "labelme with a byte order mark": lambda s: labelme(s, encoding="utf-8-sig"),
    "labelme in UTF-16": lambda s: labelme(s, encoding="utf-16"),
    "labelme, a rectangle of two corners": lambda s: labelme(s, shirt_shape("rectangle", box(SHIRT)[::2])),
    "labelme, a rectangle of four corners": lambda s: labelme(s, shirt_shape("rectangle", box(SHIRT))),
    "labelme, a rotation": lambda s: labelme(s, shirt_shape("rotation", box(SHIRT))),
    "labelme, a quadrilateral": lambda s: labelme(s, shirt_shape("quadrilateral", box(SHIRT))),
    "labelme, photos beside its folder": lambda s: labelme(
        s, name="..\\imgs\\p{}.jpg", folder="json", photo_folder="imgs"
    ),
    "index PNG": lambda s: index_png(s, "background\nshirt\nhat\n"),
    "index PNG, Background": lambda s: index_png(s, "Background\nshirt\nhat\n"),
    "index PNG, bg": lambda s: index_png(s, "bg\nshirt\nhat\n"),
    "index PNG, unlabeled": lambda s: index_png(s, "unlabeled\nshirt\nhat\n"),
    "index PNG, _background_": lambda s: index_png(s, "__ignore__\n_background_\nshirt\nhat\n"),
    "index PNG, names by id": lambda s: index_png(s, "0 background\n1 shirt\n2 hat\n"),
    "index PNG, names by id from 1": lambda s: index_png(s, "1: shirt\n2: hat\n"),
    "index PNG, no background": lambda s: index_png(s, "shirt\nhat\n"),
    "index PNG in capitals": lambda s: index_png(
        s, "background\nshirt\nhat", folders=("Images", "Labels"), ends=("JPG", "PNG")
    ),
    "index PNG as TIFF": lambda s: index_png(s, "background\nshirt\nhat", ends=("webp", "tif")),
}  # fmt: skip
