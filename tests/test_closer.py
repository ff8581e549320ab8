"""People who are small in a photo are parsed in a window around them, by the command, Python and ONNX alike."""

import numpy as np
import pytest
from PIL import Image

import predict
from dataloaders import catalog, toy
from inference.closer import LARGEST, closer_pair, closer_window
from inference.parser import OneShotParser
from inference.settings import DEFAULT_CHECKPOINT
from tools import measure_small
from utils.files import write_json

SIZE = (384, 256)


def drawn(index: int) -> tuple[np.ndarray, np.ndarray]:
    image, label = toy.draw(7, index, SIZE)
    return image, catalog.load("toy").merge_table()[label].astype(np.uint8)


def far(image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The photo in a much larger one of its mean colour."""
    height, width = label.shape
    large = np.full((2 * height, 2 * height, 3), image.mean(axis=(0, 1)), np.uint8)
    labels = np.zeros(large.shape[:2], np.uint8)
    place = slice(height // 2, height // 2 + height), slice(40, 40 + width)
    large[place], labels[place] = image, label
    return large, labels


@pytest.fixture(scope="module")
def parsers() -> list[OneShotParser]:
    made = [OneShotParser(device="cpu", closer=closer) for closer in (True, False)]
    for parser in made:
        parser.set_reference(*drawn(0))
    return made


def box(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros((100, 200), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_the_window_holds_small_people_with_a_margin():
    assert closer_window(box(20, 80, 100, 120)) == (slice(15, 87), slice(90, 129)), "half as wide as high"
    assert closer_window(box(21, 80, 100, 120)) == closer_window(box(20, 80, 100, 120)), "by a grid of three pixels"
    assert closer_window(box(0, 40, 180, 200)) == (slice(0, 48), slice(171, 200)), "inside the photo"
    two = box(20, 80, 100, 120) | box(30, 60, 50, 60)
    assert closer_window(two) == (slice(12, 87), slice(42, 126))
    assert closer_window(two | box(0, 1, 0, 1)) == closer_window(two), "a speck is no person"
    large = closer_window(np.kron(two, np.ones((12, 12), bool)))
    assert large is not None and [part.stop - part.start for part in large] == [888, 999]


def test_people_who_fill_the_photo_and_nobody_are_not_looked_at_again():
    assert closer_window(box(20, 60, 0, int(LARGEST * 200))) is None and closer_window(box(0, 0, 0, 0)) is None
    assert closer_window(box(20, 60, 0, int(0.8 * LARGEST * 200))) is not None


def test_a_reference_is_cut_to_the_people_not_to_what_is_marked():
    slots = np.where(box(40, 50, 110, 115), 1, 0)
    photo = np.zeros((*slots.shape, 3), np.uint8)
    rgb, cut = closer_pair(photo, slots, lambda _: box(20, 80, 100, 120))
    assert rgb.shape[:2] == cut.shape == (72, 39) and cut.sum() == slots.sum()
    marked_beside = np.where(box(40, 50, 10, 15), 1, 0)
    assert closer_pair(photo, marked_beside, lambda _: box(20, 80, 100, 120))[1].sum() == marked_beside.sum()

    def unasked(_: np.ndarray) -> np.ndarray:
        raise AssertionError("labels that fill the photo show people who do")

    assert closer_pair(photo, np.ones_like(slots), unasked)[0] is photo


def test_a_small_person_is_parsed_as_in_the_photo_around_them(parsers):
    closer, whole = parsers
    image, label = drawn(1)
    large, truth = far(image, label)
    window = closer_window(whole.parse(large).foreground)
    assert window is not None
    parsing = closer.parse(large)
    inside = closer.parse(large[window])
    np.testing.assert_array_equal(parsing.labels[window], inside.labels)
    assert parsing.scores == inside.scores
    outside = parsing.labels.copy()
    outside[window] = 0
    assert not outside.any() and parsing.labels.shape == truth.shape


def test_what_a_closer_look_gives_is_measured(toy_root, capsys):
    measure_small.main(["--dataset", "toy", "--data-root", str(toy_root), "--split", "test", "--parses", "6"])
    rows = [line for line in capsys.readouterr().out.splitlines() if "of the height" in line or "as they are" in line]
    assert len(rows) == 1 + len(measure_small.SHARES)
    figures = [[float(cell) for cell in row.split("|")[2:5]] for row in rows]
    assert all(0 <= value <= 100 for row in figures for value in row) and figures[0][0] > figures[-1][0]


def test_people_who_fill_the_photo_are_parsed_as_ever(parsers):
    photos = [drawn(index)[0] for index in (1, 2)]
    for one, two in zip(*(parser.parse(photos) for parser in parsers), strict=True):
        np.testing.assert_array_equal(one.labels, two.labels)


def test_a_reference_of_a_small_person_is_looked_at_closer(parsers):
    closer = parsers[0]
    large, labels = far(*drawn(1))
    near = closer.make_support(*drawn(1)).prototypes.classes
    of_far = [parser.make_support(large, labels).prototypes.classes for parser in parsers]
    off = [float((1 - np.sum(a * b, -1)).max()) for a, b in ((unit(near), unit(classes)) for classes in of_far)]
    assert off[0] < off[1]


def unit(classes) -> np.ndarray:
    vectors = classes[0, 1:].numpy()
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_command_and_onnx_do_the_same(parsers, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from tools import export_onnx, run_onnx

    (image, label), (large, _) = drawn(0), far(*drawn(1))
    far_image, far_label = far(image, label)
    for name, pixels in (("ref.png", far_image), ("labels.png", far_label), ("photo.png", large)):
        Image.fromarray(pixels).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    names = catalog.load("toy").class_names
    write_json(tmp_path / "names.json", {str(i): name for i, name in names.items() if i})
    files = ["--reference", "ref.png", "--labels", "labels.png", "--names", "names.json", "photo.png"]
    export_onnx.main(["--checkpoint", DEFAULT_CHECKPOINT, "--out", "graphs"])
    assert run_onnx.main(["--graphs", "graphs", *files, "--out", "onnx"]) == 0
    assert predict.main([*files, "--out", "torch", "--device", "cpu"]) == 0
    assert predict.main([*files, "--out", "off", "--device", "cpu", "--no-closer"]) == 0
    maps = {name: np.asarray(Image.open(tmp_path / name / "photo.png")) for name in ("onnx", "torch", "off")}
    support = parsers[0].make_support(far_image, far_label, names)
    assert (maps["torch"] == parsers[0].parse(large, support).labels).mean() > 0.999
    person = maps["torch"] > 0
    # real photos agree in 0.999; on drawn people more classes tie
    assert (maps["onnx"] == maps["torch"])[person].mean() > 0.998 and (maps["off"] != maps["torch"])[person].any()
