"""Several people in a photo: found by a look that is made up, by boxes, and by the released checkpoint."""

import itertools
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from inference.boxes import read_boxes
from inference.inputs import Source
from inference.people import Sight, find_people, places_of_boxes
from predict import OneShotParser
from tools.compositions import compose, cut_out
from utils.errors import UserError

from .own_photos import complaint, picture, run, write_checkpoint

SIZE = 64  # at which the made-up network sees photos
RED, GREEN, GREY = (250, 0, 0), (0, 250, 0), (90, 90, 90)


def look(rgb, longest):
    """Sees red as a person, of which green is the head, and sees grey as one only where it is shown large."""
    scale = longest / max(rgb.shape) / 4
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    seen = (small[..., :2].max(axis=2) > 200) | ((small.min(axis=2) > 80) & (longest > 2 * SIZE))
    rows = np.arange(len(seen), dtype=np.float32)[:, None]
    return Sight(seen.astype(np.float32), np.tile(rows, (1, seen.shape[1])))


def people(*boxes, size=(128, 192), color=RED):
    """A black picture with upright rectangles (x, y, width, height)."""
    image = np.zeros((*size, 3), np.uint8)
    for x, y, width, height in boxes:
        image[y : y + height, x : x + width] = color
    return image


def test_each_patch_is_a_person_and_owns_what_is_near():
    image = people((20, 20, 24, 90), (52, 40, 20, 70), (140, 60, 16, 40))
    places = find_people(image, SIZE, look)
    assert len(places) == 3 and [p.window[1].start for p in places] == sorted(p.window[1].start for p in places)
    owners = np.zeros(image.shape[:2], int)
    for place in places:
        owners[place.window] += place.own
    assert owners.max() == 1, "no pixel is two persons'"
    first = places[0]
    rows, columns = first.window
    assert first.own[60 - rows.start, 30 - columns.start]
    rows, columns = places[1].window
    assert not places[1].own[60 - rows.start, 42 - columns.start] and places[1].own[60 - rows.start, 54 - columns.start]


def test_a_patch_that_a_second_look_does_not_confirm_is_nobody():
    image = people((20, 20, 24, 90), (110, 20, 24, 90))
    image[40:110, 150:180] = GREY

    def fickle(rgb, longest):
        sight = look(rgb, longest)
        return sight if longest > SIZE else Sight(sight.foreground * (rgb.max() > 200), sight.height)

    assert len(find_people(image, SIZE, fickle)) == 2
    lying = Sight(np.ones((16, 16), np.float32), np.tile(np.arange(16, dtype=np.float32), (16, 1)))
    sideways = find_people(image, SIZE, lambda rgb, longest: look(rgb, longest) if longest > SIZE else lying)
    assert len(sideways) == 1 and sideways[0].own.all(), "where nobody is confirmed, all is one person"


def test_a_head_that_is_cut_off_belongs_to_its_body():
    image = people((30, 40, 24, 80), (120, 20, 24, 100))
    image[22:36, 36:48] = GREEN
    places = find_people(image, SIZE, look)
    assert len(places) == 2
    rows, columns = places[0].window
    assert rows.start <= 28 and places[0].own[28 - rows.start, 42 - columns.start]


def test_nobody_is_found_in_an_empty_photo():
    assert find_people(people(), SIZE, look) == []


def test_boxes_share_the_pixels_between_them():
    places = places_of_boxes([(10, 10, 40, 80), (40, 10, 40, 80)], (100, 100))
    owners = np.zeros((100, 100), int)
    for number, place in enumerate(places, 1):
        owners[place.window] += number * place.own
    assert owners[50, 30] == 1 and owners[50, 60] == 2 and owners[50, 44] == 1 and owners[50, 46] == 2
    assert owners[50, 95] == 0
    with pytest.raises(UserError, match="does not lie in it"):
        places_of_boxes([(80, 10, 40, 80)], (100, 100))


def test_a_box_smaller_than_a_pixel_still_has_a_window():
    for place in places_of_boxes([(10, 10, 0.3, 0.3), (99.7, 99.7, 0.3, 0.3)], (100, 100)):
        rows, columns = place.window
        assert rows.stop > rows.start and columns.stop > columns.start and place.own.shape == (1, 1)


@pytest.fixture
def parser(tmp_path):
    made = OneShotParser(write_checkpoint(tmp_path / "tiny.pt"), "cpu")
    made.set_reference(*picture(), {1: "hat", 2: "coat", 3: "shoes"})
    return made


def test_each_photo_has_its_list_of_boxes(parser):
    image, _ = picture()
    with pytest.raises(UserError, match="2 photos and 1 lists of boxes"):
        parser.parse([image, image], boxes=[[(0, 0, 64, 96)]])
    found = parser.parse([image, image], boxes=np.array([[(0, 0, 64, 96)]] * 2))
    assert [len(one.scores_of_persons) for one in found] == [1, 1]


@pytest.mark.parametrize("boxes", [[(1, 2, 3)], [("a", 1, 2, 3)], (0, 0, 20, 30), [None]])
def test_boxes_that_are_none_are_refused(boxes, parser):
    with pytest.raises(UserError, match="is not four numbers"):
        parser.parse(picture()[0], boxes=boxes)


def test_each_box_is_parsed_as_a_photo_of_its_own(parser):
    image = np.concatenate([picture(seed=n)[0] for n in range(3)], axis=1)
    parsing = parser.parse(image, boxes=[(0, 0, 64, 96), (128, 0, 64, 96)])
    assert [person["id"] for person in parsing.people] == [1, 2]
    assert set(np.unique(parsing.person_ids)) == {0, 1, 2} and not parsing.labels[:, 75:120].any()
    for name, area in parsing.areas().items():
        assert area["pixels"] == sum(person["classes"][name]["pixels"] for person in parsing.people)
        assert area["score"] == max(person["classes"][name]["score"] for person in parsing.people)
    assert parser.parse(image).people == [] and parser.parse(image).person_ids is None


BOX = {"image_id": "1.jpg", "bbox": [5, 5, 20, 60], "score": 0.9, "category_id": 1}


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_people_on_the_command_line(place):
    entries = [BOX, {**BOX, "bbox": [25, 5, 20, 60]}, {**BOX, "score": 0.1}, {**BOX, "category_id": 3}]
    boxes = write(place / "boxes.json", entries)
    for _ in range(2):  # the results of the first run may be written anew
        assert run(place, "photos/1.jpg", more=("--people", boxes)) == 0
    found = json.loads((place / "out" / "1.json").read_text())["people"]
    assert [person["id"] for person in found] == [1, 2] and set(found[0]["classes"]) == {"hat", "coat", "shoes"}
    ids = np.array(Image.open(place / "out" / "1_people.png"))
    assert ids.shape == (70, 50) and set(np.unique(ids)) <= {0, 1, 2}
    assert run(place, "photos", more=("--people", "auto")) == 0 and (place / "out" / "2_people.png").exists()


def test_images_are_resolved_by_their_ids(tmp_path, capsys):
    content = {"images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "sub/b.jpg"}]}
    images = write(tmp_path / "coco.json", {**content, "categories": [{"id": 4, "name": "Person"}]})
    boxes = write(tmp_path / "boxes.json", [{**BOX, "image_id": 7, "category_id": 4}, {**BOX, "image_id": 7}])
    sources = [Source(tmp_path / name, name) for name in ("a.jpg", "b.jpg")]
    assert [len(found) for found in read_boxes(boxes, images, sources).values()] == [1, 0]
    unsure = write(boxes, [{**BOX, "image_id": 7, "category_id": 4, "score": 0.4}])
    assert not read_boxes(unsure, images, sources)[tmp_path / "a.jpg"]
    assert "1 of 1 boxes are passed over, with a score below 0.5" in capsys.readouterr().out
    unscored = write(boxes, [{**BOX, "image_id": 7, "category_id": 4, "score": None}])
    assert read_boxes(unscored, images, sources)[tmp_path / "a.jpg"], "as without a score"
    with pytest.raises(UserError, match="image id 9"):
        read_boxes(write(boxes, [{**BOX, "image_id": 9}]), images, sources)


def test_photos_of_one_name_are_told_apart_by_their_folders(tmp_path):
    sources = [Source(tmp_path / folder / "a.jpg", folder) for folder in ("one", "two")]
    first, second = {**BOX, "image_id": "one/a.jpg"}, {**BOX, "image_id": "C:\\two\\a.jpg", "bbox": [9, 9, 9, 9]}
    boxes = write(tmp_path / "boxes.json", [second, first])
    assert list(read_boxes(boxes, None, sources).values()) == [[BOX["bbox"]], [[9, 9, 9, 9]]]
    assert list(read_boxes(boxes, None, sources[:1]).values()) == [[BOX["bbox"]]], "none of the other photo's"
    with pytest.raises(UserError, match=r"'a.jpg' may be .*one/a.jpg and .*two/a.jpg; write the folder"):
        read_boxes(write(boxes, [{**BOX, "image_id": "a.jpg"}]), None, sources)
    with pytest.raises(UserError, match=r"one/a.jpg may be 3/a.jpg or 4/a.jpg there"):
        read_boxes(write(boxes, [{**BOX, "image_id": f"{n}/a.jpg"} for n in (3, 4)]), None, sources[:1])


@pytest.mark.parametrize("name", ["photos\\caf\u00e9.jpg", "cafe\u0301.jpg"])
@pytest.mark.parametrize("image_id, person", [(7, 1), ("7", "1"), (7.0, 1.0)])
def test_names_and_ids_are_read_as_tools_write_them(name, image_id, person, tmp_path):
    content = {"images": [{"id": 7, "file_name": name}], "categories": [{"id": person, "name": "person"}]}
    images = write(tmp_path / "coco.json", content)
    boxes = write(tmp_path / "boxes.json", [{**BOX, "image_id": image_id}])
    assert [len(b) for b in read_boxes(boxes, images, [Source(tmp_path / "caf\u00e9.jpg", "c")]).values()] == [1]


def test_an_image_id_of_two_photos_is_refused(tmp_path):
    content = {"images": [{"id": 7, "file_name": "a.jpg"}, {"id": 7, "file_name": "b.jpg"}]}
    boxes, images = write(tmp_path / "boxes.json", [{**BOX, "image_id": 7}]), write(tmp_path / "coco.json", content)
    with pytest.raises(UserError, match=r"coco.json: image id 7 is 'a.jpg' as well as 'b.jpg'; give each an id"):
        read_boxes(boxes, images, [])


@pytest.mark.parametrize(
    "content, told",
    [
        ("no json", "boxes.json: not a readable JSON file"),
        ({"a": 1}, "boxes.json: must be a list"),
        ([{**BOX, "image_id": "2.jpg"}], "has no entry for 1.jpg"),
        ([{"image_id": "1.jpg"}], "entry 0 must have image_id and bbox"),
        ([{**BOX, "bbox": [1, 2, 0, 4]}], "entry 0 has the bbox"),
        ([{**BOX, "score": "high"}], "entry 0 has the score 'high', which is no number"),
        ([{**BOX, "score": float("nan")}], "entry 0 has the score nan, which is no number"),
        ([{**BOX, "image_id": "1.jpg", "category_id": 0}], "persons have the category_id 1, and its boxes have 0"),
        ([{**BOX, "bbox": [0.1, 0.1, 0.8, 0.8]}], "boxes.json: all boxes lie in 0..1, as shares of the photo"),
        ([{**BOX, "bbox": [40, 5, 20, 60]}], "1.jpg: the box [40, 5, 20, 60] does not lie in it (the photo is 50x70"),
    ],
)
def test_bad_boxes(content, told, place, capsys):
    boxes = write(place / "boxes.json", content)
    assert run(place, "photos/1.jpg", more=("--people", boxes)) == 2
    assert told in complaint(capsys) and not (place / "out").exists()


def test_compositions_keep_gaps_and_labels():
    cutouts = []
    for seed in range(3):
        image, label = picture(seed=seed)
        cutouts.append(cut_out(np.pad(image, ((0, 0), (20, 20), (0, 0))), np.pad(label, ((0, 0), (20, 20))),
                               np.pad(label, ((0, 0), (20, 20))) > 0))  # fmt: skip
    made = compose(cutouts, np.random.default_rng(0))
    assert made.image.shape[:2] == made.label.shape == made.people.shape and set(np.unique(made.people)) == {0, 1, 2, 3}
    heights = [np.ptp(np.nonzero(made.people == n)[0]) + 1 for n in (1, 2, 3)]
    assert max(heights) == len(cutouts[0].label) and min(heights) >= max(heights) / 4 - 1
    columns = [np.nonzero((made.people == n).any(axis=0))[0] for n in (1, 2, 3)]
    gaps = [b.min() - a.max() for a, b in itertools.pairwise(columns)]
    assert all(gap >= 0.02 * max(pair) for gap, pair in zip(gaps, itertools.pairwise(heights), strict=True))
    assert all((made.people[frame] == n).any() for n, frame in enumerate(made.frames, 1))
