"""Training AOPNet on the toy data set: the whole run, a resumed one, tagged photos, and what comes out."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import evaluate as evaluate_cli
import predict
import train as train_cli
from dataloaders import catalog
from dataloaders.layout import read_ids, tagged_path
from dataloaders.recolouring import recolour
from dataloaders.split import Split
from dataloaders.training_photos import TrainingPhotos
from dataloaders.transforms import Sample
from engine.run import Run
from engine.settings import EvaluateSettings, TrainSettings
from engine.stopping import StopSignal
from inference.command import make_parser
from inference.parser import OneShotParser
from inference.references import remembered_classes
from inference.settings import SEVERAL_BIAS
from networks.aopnet import AOPNet
from networks.checkpoints import files, initialise, open_checkpoint
from tools import label_tagged, measure_bounds, measuring, pack_photos, simulate_labelling
from utils.constants import IGNORE
from utils.errors import UserError
from utils.files import read_json, write_json
from utils.rivals import UNKNOWN_BIAS

from .test_train import settings as settings_of_eop


def settings(toy_root, run_dir, **changes) -> TrainSettings:
    aop = {"method": "aop", "channels": 64, "pseudo_classes": 2, "lr": 1e-3, "lr_warmup": 2, "weight_decay": 0.01}
    return settings_of_eop(toy_root, run_dir, **{**aop, **changes})


@pytest.fixture(scope="module")
def run_folder(toy_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert train_cli.train(settings(toy_root, folder)) is None
    return folder


def test_a_stopped_run_ends_with_the_weights_of_one_that_never_stopped(toy_root, run_folder, tmp_path):
    options = settings(toy_root, tmp_path)
    run = Run(options, torch.device("cpu"))
    with StopSignal() as stop:
        stop.asked = True
        assert not run.train_epoch(stop)
    run.board.close()
    assert files.read(tmp_path / "last.pt")["position"]["batch"] == 1
    train_cli.train(options)
    one, other = (open_checkpoint(folder / "last.pt").weights for folder in (run_folder, tmp_path))
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_a_run_that_goes_on_keeps_its_pseudo_classes(toy_root, run_folder, monkeypatch):
    saved = files.read(run_folder / "last.pt")["sorting"]
    monkeypatch.setattr("engine.training.look_of", None)  # the photos are not looked at again
    run = Run(settings(toy_root, run_folder, resume="auto"), torch.device("cpu"))
    assert run.episodes.sorting == saved and any(saved)
    spec = catalog.load("toy")
    other = [*saved[:-1], [*saved[-1], 0]]
    with pytest.raises(UserError, match="not those that the run began with"):
        TrainingPhotos(spec, catalog.locate(spec, toy_root), **{**FOLD_0, "fold": 1}, sorting=other)


def test_a_run_is_evaluated_and_parses(toy_root, run_folder):
    checkpoint = str(run_folder / "last.pt")
    evaluate_cli.evaluate(EvaluateSettings(checkpoint=checkpoint, data_root=str(toy_root), workers=0, device="cpu"))
    results = read_json(run_folder / "results.json")
    assert results["prototypes"] == "bank"
    assert results["weights_digest"] == files.read(checkpoint)["digests"]["weights"]
    parser = OneShotParser(checkpoint, device="cpu")
    photo = np.random.default_rng(0).integers(0, 256, (90, 60, 3), dtype=np.uint8)
    labels = np.zeros((90, 60), dtype=np.uint8)
    labels[:30], labels[30:60] = 7, 9
    parser.set_reference(photo, labels, {7: "hat", 9: "coat"})
    parsing = parser.parse(photo)
    assert set(np.unique(parsing.labels)) <= {0, 7, 9} and all(0 <= s <= 1 for s in parsing.scores.values())


def test_what_a_reference_has_by_name_blends_with_the_bank(run_folder):
    parser = OneShotParser(run_folder / "last.pt", device="cpu")
    remembered = remembered_classes(parser.network, parser.class_names)
    photo = np.random.default_rng(0).integers(0, 256, (90, 60, 3), dtype=np.uint8)
    labels = np.zeros((90, 60), dtype=np.uint8)
    labels[:30], labels[30:60] = 7, 9
    one, two = list(remembered)[:2]
    both = parser.make_support(photo, labels, {7: one.upper(), 9: two.replace("-", " ")})
    assert both.known == (one.upper(), two.replace("-", " ")) and set(both.rivals) == set(remembered) - {one, two}
    mixed = parser.make_support(photo, labels, {7: one, 9: "apron"})
    assert mixed.known == (one,) and one not in mixed.rivals and set(mixed.rivals) <= set(remembered)
    other = parser.make_support(photo, labels, {7: "apron", 9: "sash"})
    assert other.rivals and not other.known and not parser.make_support(photo, labels).rivals  # without any name
    assert parser.make_support(photo, labels, base_ids={"class 7": one}).rivals  # a map tells as much as a name
    known = {"upper-clothes": "Top", "pants": "trousers", "bag": "handbag"}
    name = next(name for name in remembered if name in known)
    exact, meant = (parser.make_support(photo, labels, {7: n, 9: "apron"}) for n in (name, known[name]))
    assert meant.known == (f"{known[name]} (as {name})",) and meant.rivals == exact.rivals
    torch.testing.assert_close(meant.prototypes.classes, exact.prototypes.classes)
    twice = parser.make_support([photo] * 2, [labels] * 2, {7: one.upper(), 9: two})
    presence = [parser.maps(photo, support).presence.logit() for support in (both, twice)]
    torch.testing.assert_close(presence[1] - presence[0], torch.full((2,), SEVERAL_BIAS * np.log(2)), atol=1e-3, rtol=0)
    of_apron = mixed.prototypes._replace(presence_bias=None)
    doubted = parser.maps(photo, dataclasses.replace(mixed, prototypes=of_apron)).presence.logit()
    gained = parser.maps(photo, mixed).presence.logit() - doubted
    torch.testing.assert_close(gained, torch.tensor([0, UNKNOWN_BIAS]), atol=1e-3, rtol=0)
    alone = OneShotParser(run_folder / "last.pt", device="cpu", prototypes="support-only")
    assert not alone.make_support(photo, labels, {7: one, 9: two}).known
    turned, of_known = (parser.make_support(photo, labels, {7: one, 9: n}, adapt=True) for n in ("apron", two))
    same = [torch.equal(a, b) for a, b in zip(turned.prototypes.classes[0], mixed.prototypes.classes[0], strict=True)]
    assert same == [True, True, False]
    assert torch.equal(
        of_known.prototypes.classes, parser.make_support(photo, labels, {7: one, 9: two}).prototypes.classes
    )
    assert "knows all classes by name" in of_known.notes[-1] and of_known.notes[-1] not in parser.notes


def test_the_bounds_of_a_checkpoint(toy_root, run_folder):
    """A map that knows which classes are there holds no other; the closed-set head needs no reference."""
    spec = catalog.load("toy")
    split = Split(spec, catalog.locate(spec, toy_root), "test")
    alone, default = (OneShotParser(run_folder / "last.pt", "cpu", kind) for kind in ("support-only", "auto"))
    groups = list(measuring.draw(split.usable, 2, 1, 7))
    pairs = [measuring.meetings(parser, split, spec.classes, groups) for parser in (alone, default)]
    for (only, _), (support, query) in zip(*pairs, strict=True):
        found = measure_bounds.label_maps(default, query, only, support)
        assert len(found) == len(measure_bounds.ROWS) and {one.shape for one in found} == {query.label.shape}
        ids = [0, *(c.id for c in support.classes)]
        there = {slot for slot, i in enumerate(ids) if (query.label == i).any()} | {0}
        assert all(set(found[row].unique().tolist()) <= there for row in (2, 3))
        assert all(int(one.max()) < len(ids) for one in found)


def test_only_a_covered_patch_loses_its_labels():
    label = torch.arange(120)[:, None].expand(120, 80).div(40, rounding_mode="floor").to(torch.uint8)
    sample = Sample(torch.full((3, 120, 80), 90, dtype=torch.uint8), label, (label > 0).to(torch.uint8), "photo")
    lost = 0
    for seed in range(40):
        changed = recolour(sample, np.random.default_rng(seed))
        patch = changed.label == IGNORE
        assert torch.equal(changed.label[~patch], label[~patch]) and torch.equal(patch, changed.foreground == IGNORE)
        if patch.any():
            rows, columns = patch.any(dim=1), patch.any(dim=0)
            assert patch.sum() == rows.sum() * columns.sum() < 0.1 * patch.numel()
            lost += 1
    assert 4 <= lost <= 20 and torch.equal(sample.label, label)


def test_a_training_goes_on_with_other_classes(run_folder):
    network = AOPNet(7, "tf_efficientnet_lite0", channels=64)
    notes = initialise(network, str(run_folder / "last.pt"))
    assert {note.split(" ")[0] for note in notes[1:]} == {"bank.rows", "closed.weight", "closed.bias"}
    weights = open_checkpoint(run_folder / "last.pt").weights
    assert torch.equal(network.fine_space.weight, weights["fine_space.weight"]) and len(network.closed.bias) == 7


def test_a_training_of_another_fold_does_not_know_the_classes_of_this(run_folder):
    trained = open_checkpoint(run_folder / "last.pt")
    same, novel = trained.class_names, trained.record["novel"]
    cases = ((same, 1, novel, True), (same, 2, novel, False), ({1: "hat"}, 1, novel, False), (same, 1, ["bag"], False))
    for names, fold, now, kept in cases:
        network = AOPNet(trained.num_slots, "tf_efficientnet_lite0", channels=64, pseudo_classes=2)
        notes = initialise(network, str(run_folder / "last.pt"), names, fold, now)
        assert bool(network.bank.rows.any()) == kept and ("another fold" in " ".join(notes)) == (not kept)


def test_labelling_step_by_step(toy_root, run_folder, tmp_path, capsys):
    """Of the toy set's train list the second half is labelled: 6 photos, on which a training goes on."""
    words = [
        "--out",
        str(tmp_path),
        "--dataset",
        "toy",
        "--data-root",
        str(toy_root),
        "--correct",
        "6",
        "--photos",
        "3",
    ]
    mode = (toy_root / "TOY_OS/trainval_images").stat().st_mode
    simulate_labelling.main(words)
    assert (toy_root / "TOY_OS/trainval_images").stat().st_mode == mode, "it is linked, and stays as it was"
    assert "train.py --dataset toy --method aop" in capsys.readouterr().out
    known, ids = (read_ids(root / "TOY_OS", "train") for root in (tmp_path / "known", toy_root))
    assert known == ids[: len(ids) // 2]
    size = ["--crop-size", "64", "48", "--test-size", "64", "--epochs", "1", "--batch-size", "3", "--lr-warmup", "0"]
    network = ["--encoder", "tf_efficientnet_lite0", "--channels", "64", "--pseudo-classes", "2", "--device", "cpu"]
    checkpoint = ["--checkpoint", str(run_folder / "last.pt")]
    simulate_labelling.main([*words, *checkpoint, "--train", *size, *network])
    steps = read_json(tmp_path / "steps.json")
    assert [step["labelled"] for step in steps] == [1, 5, 5, 6, 6, 6] and all(0 <= s["miou"] <= 100 for s in steps)
    trained = read_ids(tmp_path / "corrected/TOY_OS", "train")
    assert len(trained) == 6 and not {*trained, *read_ids(tmp_path / "collection/TOY_OS", "train")} & set(known)


def test_photos_are_labelled_first_that_show_what_is_missing():
    holds = [{1, 2}, {1}, {1, 2, 3}, {4}, {5, 1}, {1, 2}]
    order = simulate_labelling.order_of_labelling(holds, seed=0)
    assert order[0] == 2 and set(order[1:3]) == {3, 4} and sorted(order) == list(range(6))


FOLD_0 = {"fold": 0, "crop_size": (64, 48), "zoom": (1.0, 1.0), "pseudo_classes": 2}


def photos_of(toy_root, **options) -> TrainingPhotos:
    spec = catalog.load("toy")
    options = {**FOLD_0, "fold": 1, **options}
    return TrainingPhotos(spec, catalog.locate(spec, toy_root), **options)


def test_no_novel_class_is_in_the_training_photos_and_its_pixels_have_pseudo_classes(toy_root):
    photos, spec = photos_of(toy_root), catalog.load("toy")
    seen = {int(i) for n in range(len(photos)) for i in photos[n]["label"].unique()}
    assert not seen & set(spec.novel(1))
    assert seen & {spec.num_slots, spec.num_slots + 1} and max(seen - {IGNORE}) < spec.num_slots + 2


def test_a_draw_follows_from_seed_epoch_and_index(toy_root):
    one, other = photos_of(toy_root), photos_of(toy_root)
    assert all(torch.equal(one[3][name], other[3][name]) for name in one[3])
    before = one[3]["image"]
    one.set_epoch(1)
    assert not torch.equal(before, one[3]["image"])


def test_a_crop_may_have_any_size(toy_root, tmp_path):
    assert train_cli.train(settings(toy_root, tmp_path, crop_size=(66, 49), epochs=1, batch_size=10)) is None


def test_the_place_on_the_body_follows_the_photo(toy_root):
    """The person's topmost and lowest pixels lie near height 0 and 1, whatever the zoom and the window."""
    photos = photos_of(toy_root, zoom=(0.8, 0.8), crop_size=(160, 160))
    for number in range(4):
        photo = photos[number]
        rows = (photo["foreground"][::4, ::4] == 1).any(dim=1).nonzero()[:, 0]
        height = photo["body"][0, :, 0]
        assert abs(height[rows[0]]) < 0.08 and abs(height[rows[-1]] - 1) < 0.08


def test_photos_with_rare_classes_are_drawn_more_often(toy_root):
    spec = catalog.load("toy")
    plain, balanced = photos_of(toy_root), photos_of(toy_root, balance=1.0)

    def rarest(photos: TrainingPhotos) -> np.ndarray:
        counts = np.zeros(spec.num_slots)
        for epoch in range(2):
            photos.set_epoch(epoch)
            for n in range(len(photos)):
                present = photos[n]["label"].unique().tolist()
                counts[[i for i in present if 0 < i < spec.num_slots]] += 1
        return counts

    one, other = rarest(plain), rarest(balanced)
    rare = min((c for c in spec.base_classes(1) if c), key=lambda c: one[c])
    assert other[rare] > one[rare]


def test_a_photo_of_nobody_is_drawn_like_any_other(toy_root, tmp_path):
    root = tmp_path / "toy"
    shutil.copytree(toy_root, root)
    photos = photos_of(root, balance=0.0)
    path = photos.split.root / "trainval_classes" / f"{photos.used_ids()[0]}.png"
    Image.fromarray(np.zeros(np.asarray(Image.open(path)).shape, np.uint8)).save(path)
    photos = photos_of(root, balance=0.0)
    drawn = np.concatenate([photos._order(epoch) for epoch in range(3)])
    assert np.count_nonzero(drawn == 0) == 3


def test_pseudo_classes_beyond_the_ids_of_a_label_map_are_refused(toy_root):
    with pytest.raises(UserError, match=r"--pseudo-classes 250: Toy-OS leaves room for"):
        photos_of(toy_root, pseudo_classes=250)


def test_tagged_photos_are_labelled_where_their_tags_allow_and_trained_on(toy_root, run_folder, tmp_path):
    spec, data = catalog.load("toy"), shutil.copytree(toy_root, tmp_path / "data", symlinks=True)
    root = catalog.locate(spec, data)
    ids = read_ids(root, "train")[:3]
    names = [spec.labels[c] for c in spec.base_classes(1)[1:3]]
    write_json(tagged_path(root), dict.fromkeys(ids, names))
    out = tmp_path / "tagged"
    label_tagged.main(
        [
            f"--checkpoint={run_folder / 'last.pt'}",
            f"--out={out}",
            "--dataset=toy",
            f"--data-root={data}",
            "--sure=0",
        ]
    )
    for image_id in ids:
        found = set(np.unique(np.array(Image.open(out / f"{image_id}.png"))).tolist())
        assert found <= {0, IGNORE, spec.spare_slot(), *(spec.labels.index(name) for name in names)}
    photos, plain = photos_of(data, tagged=str(out)), photos_of(data)
    assert len(photos) == len(plain) + 3
    (out / f".{ids[0]}.left_by_a_kill.png").write_bytes(b"")
    shutil.copy(out / f"{ids[0]}.png", out / f"{read_ids(root, 'test')[0]}.png")
    with pytest.raises(UserError, match=r"^1 tagged photos are on the test or validation list"):
        photos_of(data, tagged=str(out))


def test_a_pack_is_trained_on_elsewhere_and_what_comes_out_parses(toy_root, tmp_path):
    spec, bare = catalog.load("toy"), tmp_path / "bare"
    pack_photos.main(["--dataset=toy", f"--data-root={toy_root}", "--size=64", f"--out={tmp_path / 'packed'}"])
    shutil.move(tmp_path / "packed", bare)
    root, whole = catalog.locate(spec, bare), catalog.locate(spec, toy_root)
    assert Split(spec, root, "test").ids == Split(spec, whole, "test").ids
    sample = Split(spec, root, "train").load(0)
    assert max(sample.label.shape) == 64 and sample.image.shape[1:] == sample.label.shape
    assert set(sample.label.unique().tolist()) <= set(Split(spec, whole, "train").load(0).label.unique().tolist())
    steps = settings(bare, tmp_path / "run", fold=0, epochs=1, batch_size=2)
    assert train_cli.train(steps) is None and len(TrainingPhotos(spec, root, **FOLD_0)) // 2 >= 10
    parsing = OneShotParser(tmp_path / "run" / "last.pt", device="cpu")
    photo = np.zeros((90, 60, 3), dtype=np.uint8)
    photo[::7] = 200
    assert parsing.make_support(photo, photo[..., 0], {200: "stripe"}).classes[0].name == "stripe"
    with pytest.raises(UserError, match="holds something already"):
        pack_photos.pack(spec, toy_root, bare, 64, 75)


@pytest.mark.parametrize("words, refined", [([], True), (["--no-refine"], False)])
def test_borders_follow_the_photo_unless_that_is_turned_off(words, refined, run_folder):
    files = ["a.jpg", "--reference", "b.jpg", "--labels", "b.png", "--checkpoint", str(run_folder / "last.pt")]
    parser = make_parser(predict.parse_options([*files, "--device", "cpu", *words]))
    assert (parser.network.encode(torch.zeros(1, 3, 64, 48)).guide is not None) == refined
