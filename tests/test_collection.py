"""A collection: what it is read from, the row of each photo, and the whole command on Ray Data."""

import io
import socket
import sys
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.collection import Entry, Part, parts, rows
from inference.command import read_reference
from inference.masks import run_lengths
from predict import OneShotParser
from tools import parse_collection
from utils.errors import UserError
from utils.files import write_json

from .own_photos import picture, write_checkpoint


def jpeg(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture(seed=seed)[0]).save(buffer, "JPEG")
    return buffer.getvalue()


def write_tar(path: Path, names: list[str]) -> None:
    with tarfile.open(path, "w") as tar:
        for seed, name in enumerate(names):
            content = jpeg(seed) if name.endswith(".jpg") else b"{}"
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_a_folder_of_photos_comes_in_parts_and_its_videos_are_passed_over(place):
    (place / "photos/clip.mp4").write_bytes(b"x")
    (place / "photos/notes.txt").write_bytes(b"x")
    found, passed_over = parts([str(place / "photos")])
    assert found == [Part("files", tuple(str(place / f"photos/{n}.jpg") for n in (1, 2)))]
    assert sorted(passed_over) == ["clip.mp4", "notes.txt"]
    assert next(iter(found[0].entries())) == Entry(str(place / "photos/1.jpg"), "1")
    for missing in ("nowhere", "nowhere.tar"):
        with pytest.raises(UserError, match="no such file"):
            parts([str(place / missing)])


def test_photos_beside_a_tar_are_taken_too(place):
    write_tar(place / "photos/some.tar", ["a.jpg"])
    (place / "photos/notes.txt").write_bytes(b"x")
    found, passed_over = parts([str(place / "photos")])
    assert [part.kind for part in found] == ["files", "tar"] and passed_over == ["notes.txt"]
    assert found[0].paths == tuple(str(place / f"photos/{n}.jpg") for n in (1, 2))


def test_the_labels_of_the_reference_are_no_photo(place):
    (place / "labels.png").rename(place / "photos/labels.png")
    labels = [str(place / "photos/labels.png")]
    (part,), passed_over = parts([str(place / "photos")], labels)
    assert part.paths == tuple(str(place / f"photos/{n}.jpg") for n in (1, 2)) and passed_over == ["labels.png"]
    for n in (1, 2):
        (place / f"photos/{n}.jpg").unlink()
    write_tar(place / "photos/some.tar", ["a.jpg"])
    assert [part.kind for part in parts([str(place / "photos")], labels)[0]] == ["tar"]


def test_folders_of_photos_beside_a_tar_are_passed_over(place):
    write_tar(place / "some.tar", ["a.jpg"])
    for name in ("ref.png", "ref.jpg", "labels.png"):
        (place / name).unlink(missing_ok=True)
    found, passed_over = parts([str(place)])
    assert [part.kind for part in found] == ["tar"] and passed_over == ["photos/"]


def test_a_tar_gives_its_photos_and_a_cut_one_an_error(tmp_path):
    write_tar(tmp_path / "some.tar", ["a/1.jpg", "a/1.json", "a/2.jpg", "a/._2.jpg"])
    (part,), _ = parts([str(tmp_path)])
    entries = list(part.entries())
    assert [(e.photo, e.name) for e in entries] == [(f"{tmp_path}/some.tar#a/{n}.jpg", f"a/{n}") for n in (1, 2)]
    assert entries[0].content == jpeg(0)
    whole = (tmp_path / "some.tar").read_bytes()
    (tmp_path / "some.tar").write_bytes(whole[: 512 + len(jpeg(0)) // 2])
    *_, last = part.entries()
    assert "some.tar: cannot be read to its end" in (last.error or "")


def test_a_parquet_file_gives_its_photos(tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    images = [{"bytes": jpeg(0), "path": "a.jpg"}, {"bytes": None, "path": "b.jpg"}]
    parquet.write_table(pa.table({"id": [7, 8], "image": images}), tmp_path / "some.parquet")
    (part,), _ = parts([str(tmp_path / "some.parquet")])
    first, second = part.entries()
    assert first == Entry(f"{tmp_path}/some.parquet#0", "7", jpeg(0))
    assert second.content is None and "row 1 holds no bytes" in (second.error or "")
    parquet.write_table(pa.table({"id": [7], "label": [1]}), tmp_path / "some.parquet")
    with pytest.raises(UserError, match=r"some\.parquet: has the columns id, label; a photo needs one of"):
        list(part.entries())
    named_twice, _ = parts([str(tmp_path), str(tmp_path / "some.parquet")])
    assert named_twice == [part]
    noise = [np.random.default_rng(number).bytes(40_000) for number in range(3)]
    table = pa.table({"id": [1, 2, 3], "image": noise})
    parquet.write_table(table, tmp_path / "some.parquet", row_group_size=1, compression="none", use_dictionary=False)
    content = bytearray((tmp_path / "some.parquet").read_bytes())
    start = content.index(noise[1][:64])
    content[start - 60 : start] = bytes(60)  # the head of the second page of photos
    (tmp_path / "some.parquet").write_bytes(bytes(content))
    *_, last = part.entries()
    assert "some.parquet: cannot be read to its end" in (last.error or "")
    (tmp_path / "some.parquet").write_bytes(b"PAR1")
    assert "not a readable parquet file" in (next(part.entries()).error or "")


def test_a_row_holds_masks_as_run_lengths_areas_and_scores_or_an_error(tmp_path):
    coco = pytest.importorskip("pycocotools.mask")
    image, label = picture()
    parser = OneShotParser(write_checkpoint(tmp_path / "tiny.pt"), "cpu")
    parser.set_reference(image, label, {1: "hat", 2: "coat", 3: "shoes"})
    Image.fromarray(image).save(tmp_path / "a.png")
    entries = [Entry(str(tmp_path / "a.png"), "a"), Entry("b.tar#b.jpg", "b", b"GIF89a"), Entry("c", "c", None, "lost")]
    row, broken, lost = rows(parser, entries)
    parsing = parser.parse(image)
    assert (row["height"], row["width"]) == label.shape and row["error"] is None
    for found in row["classes"]:
        mask = coco.decode({"size": found["size"], "counts": found["counts"]})
        assert np.array_equal(mask, parsing.labels == found["id"])
        assert {k: found[k] for k in ("id", "pixels", "share", "score")} == parsing.areas()[found["name"]]
    assert broken["error"].startswith("b.tar#b.jpg: ") and "classes" not in broken
    assert lost == {"photo": "c", "name": "c", "error": "lost"}


def test_run_lengths_are_cocos():
    """As pycocotools' documentation: columns first, from the runs of zeros on."""
    coco = pytest.importorskip("pycocotools.mask")
    mask = np.zeros((5, 4), dtype=bool)
    mask[1:3, 2] = True
    assert coco.area(run_lengths(mask)) == 2 and coco.toBbox(run_lengths(mask)).tolist() == [2, 1, 1, 2]


def words(place, *more) -> list[str]:
    files = ["--reference", place / "ref.png", "--labels", place / "labels.png", "--names", place / "names.json"]
    options = ["--checkpoint", place / "tiny.pt", "--device", "cpu", "--workers", "1", "--out", place / "out"]
    return [str(word) for word in (*files, *options, place / "photos", *more)]


def test_without_ray_the_command_says_what_to_install(place, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install -r requirements-scale\.txt"):
        parse_collection.main(words(place))
    assert not (place / "out").exists()


def test_an_address_where_no_cluster_answers_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    for address in (f"127.0.0.1:{port}", "nowhere", f"ray://127.0.0.1:{port}"):
        with pytest.raises(UserError, match="no Ray cluster answers there"):
            parse_collection.require_answer(address)


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_listener_that_is_no_cluster_is_told(says, monkeypatch):
    monkeypatch.setattr(parse_collection, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        opened = []
        answering = threading.Thread(target=lambda: opened.append(server.accept()[0]) or opened[0].sendall(says))
        answering.start()
        with pytest.raises(UserError, match="no Ray cluster answers there"):
            parse_collection.require_answer(address)
        answering.join()
        opened[0].close()


def test_a_later_run_needs_the_same_options(place):
    out = place / "out"
    options = parse_collection.parse_options(words(place))
    noted = parse_collection.check_same(options, read_reference(options))
    assert not out.exists(), "a start that fails later leaves nothing"
    write_json(out / "run.json", noted)

    def later(*more):
        options = parse_collection.parse_options(words(place, *more))
        return parse_collection.check_same(options, read_reference(options))

    assert later("--workers", "3", "--shard", "5") == noted
    with pytest.raises(UserError, match=r"out: holds results with other --max-size; choose another --out"):
        later("--max-size", "64")
    labels = np.array(Image.open(place / "labels.png"))
    Image.fromarray(np.where(labels == 3, 0, labels)).save(place / "labels.png")
    with pytest.raises(UserError, match="holds results of an earlier reference, which has been changed since"):
        later()
    Image.fromarray(labels).save(place / "labels.png")
    write_checkpoint(place / "tiny.pt", test_size=64)
    with pytest.raises(UserError, match="holds results of an earlier weights, which has been changed since"):
        later()


@pytest.mark.slow
def test_the_command_goes_on_where_it_was(place, capsys):
    pytest.importorskip("ray.data.checkpoint")
    dataset = pytest.importorskip("pyarrow.dataset")
    assert parse_collection.main(words(place)) == 0
    assert "2 of 2 photos parsed" in capsys.readouterr().out
    (place / "photos/3.jpg").write_bytes(jpeg(3))
    (place / "photos/4.jpg").write_bytes(b"not a photo")
    assert parse_collection.main(words(place)) == 1
    told = capsys.readouterr()
    assert "3 of 4 photos parsed" in told.out and "4.jpg" in told.err
    found = dataset.dataset(str(place / "out/shards"), format="parquet").to_table().to_pylist()
    assert sorted(row["name"] for row in found) == ["1", "2", "3", "4"], "each photo exactly once"
    (place / "photos/4.jpg").write_bytes(jpeg(4))
    shard = next((place / "out/shards").glob("*.parquet"))
    (place / "out/shards/.half.parquet").write_bytes(shard.read_bytes()[:99])  # as of a run that was killed
    (place / "out/shards/half-0.parquet").write_bytes(b"")
    (place / "out/done/half.pending.parquet").write_bytes(next((place / "out/done").iterdir()).read_bytes())
    assert parse_collection.main(words(place)) == 0
    assert "4 of 4 photos parsed" in capsys.readouterr().out, "what was mended is tried again"
    found = dataset.dataset(str(place / "out/shards"), format="parquet").to_table().to_pylist()
    assert sorted(row["name"] for row in found) == ["1", "2", "3", "4"] and not any(row["error"] for row in found)


def test_a_name_that_is_not_utf8_and_what_a_reader_tells_stand_in_the_rows(tmp_path):
    odd = Part("files", (str(tmp_path / "caf\udce9.jpg"),))
    (entry,) = odd.entries()
    assert entry.error == f"{tmp_path}/caf\\udce9.jpg: its name is not UTF-8; rename it"
    image, label = picture()
    parser = OneShotParser(write_checkpoint(tmp_path / "tiny.pt"), "cpu")
    parser.set_reference(image, label)
    Image.fromarray(image[..., 0].astype(np.uint16)).save(tmp_path / "dark.tif")
    content = (tmp_path / "dark.tif").read_bytes()
    entries = [Entry(str(tmp_path / "dark.tif"), "a"), Entry("b.tar#dark.tif", "b", content)]
    for row, entry in zip(rows(parser, entries), entries, strict=True):
        assert row["note"].startswith(f"{entry.photo}: its 16-bit values all lie below 256, so it looks black")
