"""Released files: small, the same network, and faults told in one line."""

import pytest
import torch
from safetensors.torch import save_file

from engine.checkpoint import open_for_evaluation
from engine.settings import EvaluateSettings
from networks.backbones import LITE0
from networks.checkpoints import export_released, initialise, open_checkpoint
from networks.checkpoints.files import read
from networks.eopnet import EOPNet
from predict import OneShotParser
from tools import release
from utils import __version__
from utils.errors import UserError
from utils.files import UMASK

from .own_photos import network, picture, write_checkpoint


@pytest.fixture
def files(tmp_path):
    source = write_checkpoint(tmp_path / "tiny.pt")
    out = tmp_path / "new" / "tiny.safetensors"
    release.main(["--checkpoint", str(source), "--out", str(out), "--min-score", "0.25"])
    return source, out


def test_a_released_network_is_the_same_at_half_the_size(files):
    source, out = files
    assert out.stat().st_size < 0.6 * source.stat().st_size
    opened = open_checkpoint(out)
    assert (opened.epoch, opened.test_size, opened.min_score) == (3, 96, 0.25)
    assert {open_checkpoint(path).record["written_by"] for path in files} == {__version__}
    built = opened.build()
    assert opened.class_names[2] == "coat" and not built.training
    for name, tensor in network().state_dict().items():
        found = built.state_dict()[name]
        assert found.dtype == tensor.dtype
        exact = tensor.numel() == max(tensor.shape, default=1)
        torch.testing.assert_close(found, tensor, **({"rtol": 0, "atol": 0} if exact else {"rtol": 1e-3, "atol": 1e-6}))


def test_a_file_may_have_the_mean_of_two_weights(tmp_path):
    first, second = (write_checkpoint(tmp_path / f"{name}.pt") for name in ("first", "second"))
    content = torch.load(second, weights_only=True)
    content["network"] = {n: t + 1 if t.is_floating_point() else t for n, t in content["network"].items()}
    torch.save(content, second)
    out = tmp_path / "mean.safetensors"
    release.main(["--checkpoint", str(first), "--mean-with", str(second), "--out", str(out)])
    own, mean = network().state_dict(), open_checkpoint(out).build().state_dict()
    for name, tensor in own.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(mean[name], tensor + 0.5, rtol=1e-3, atol=1e-3)
    assert out.stat().st_mode & 0o044 == 0o044 & ~UMASK, "others may read it as the umask says"
    other = write_checkpoint(tmp_path / "other.pt", "1way")
    with pytest.raises(UserError, match=r"other\.pt: is of other classes or another network"):
        release.main(["--checkpoint", str(first), "--mean-with", str(other), "--out", str(out)])


def test_both_files_parse_alike(files):
    image, label = picture()
    parsers = [OneShotParser(path, "cpu", min_score=score) for path, score in zip(files, (0.25, None), strict=True)]
    for parser in parsers:
        parser.set_reference(image, label)
    assert parsers[1].min_score == 0.25 and parsers[1].max_size == 96
    one, two = (parser.parse(image).labels for parser in parsers)
    assert (one == two).mean() > 0.98


def test_bad_files(files, tmp_path):
    source, out = files
    half, bare, strange = (tmp_path / f"{name}.safetensors" for name in ("half", "bare", "strange"))
    half.write_bytes(out.read_bytes()[:1000])
    save_file({"a": torch.zeros(2)}, bare)
    save_file({"a": torch.zeros(2)}, strange, {"content": '{"settings": {}}', "format": "one-shot-human-parsing"})
    assert read(bare)["a"].shape == (2,), "tensors alone, such as an encoder's, are for --pretrained"
    for path in (half, bare, strange, tmp_path / "missing.safetensors", tmp_path / "missing.pt"):
        with pytest.raises(UserError) as raised:
            open_checkpoint(path)
        assert path.name in str(raised.value) and "\n" not in str(raised.value)
    torch.save({"fc.weight": torch.zeros(3, 3)}, tmp_path / "theirs.pth")
    with pytest.raises(UserError, match="--dataset and --way"):
        open_checkpoint(tmp_path / "theirs.pth")
    with pytest.raises(UserError, match="neither an EOPNet"):
        open_checkpoint(tmp_path / "theirs.pth", num_slots=5, way="kway")
    with pytest.raises(UserError, match="not a checkpoint of this project"):
        export_released(tmp_path / "theirs.pth", tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="must end in"):
        release.main(["--checkpoint", str(source), "--out", str(tmp_path / "x.pt")])
    with pytest.raises(UserError, match=r"--min-score 35\.0: must lie between 0 and 1"):
        release.main(["--checkpoint", str(source), "--out", str(tmp_path / "x.safetensors"), "--min-score", "35"])
    assert not list(tmp_path.rglob("x.*"))


@pytest.mark.parametrize("labels", [5, 9])
def test_a_training_may_start_from_either_file(files, labels):
    for path in files:
        started = EOPNet(labels, "kway", LITE0, channels=16)
        notes = initialise(started, str(path))
        kept = {name: t for name, t in network().state_dict().items() if name != "bank.rows" or labels == 5}
        for name, tensor in kept.items():
            torch.testing.assert_close(started.state_dict()[name], tensor, rtol=1e-3, atol=1e-6)
        assert len(notes) == (1 if labels == 5 else 2) and started.bank.rows.any() == (labels == 5)
        with pytest.raises(UserError, match="another network"):
            initialise(EOPNet(labels, "kway", LITE0, channels=8), str(path))


def test_both_files_are_evaluated(files):
    for path in files:
        settings = EvaluateSettings(checkpoint=str(path))
        loaded = open_for_evaluation(settings)
        assert (settings.dataset, settings.way, loaded.epoch) == ("toy", "kway", 3)
