"""Memory format and precision change the speed, not what a network says or is called."""

import copy

import pytest
import torch

from utils.device import resolve_amp, tune

from .samples import random_episode, tiny_network

CPU = torch.device("cpu")


@pytest.mark.parametrize("choice, laid_out", [("auto", True), ("on", True), ("off", False)])
def test_channels_last_changes_the_layout_alone(choice, laid_out):
    network = tiny_network().double().eval()
    tuned = copy.deepcopy(network)
    tune(tuned, CPU, choice)
    weight = tuned.agm.guide.convs[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == laid_out
    episode = {k: v.double() if v.is_floating_point() else v for k, v in random_episode().items()}
    with torch.no_grad():
        for ours, plain in zip(tuned(episode, 0).logits, network(episode, 0).logits, strict=True):
            torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-10)
    assert tuned.state_dict().keys() == network.state_dict().keys()


def test_compiling_takes_encoder_and_decoder_and_keeps_the_names(monkeypatch):
    network, compiled = tiny_network(), []
    names = network.state_dict().keys()
    monkeypatch.setattr(torch, "compile", lambda call, **options: compiled.append(call.__self__) or call)
    tune(network, CPU, compile=True)
    assert network.state_dict().keys() == names
    assert compiled == [network.encoder.body, network.decoder]


@pytest.mark.parametrize("flags, expected", [("avx2 avx512_bf16", "bf16"), ("avx2 avx512f", "off")])
def test_auto_is_bf16_where_the_cpu_computes_in_it(flags, expected, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr("utils.device.Path", lambda _: tmp_path / "cpuinfo")
    assert resolve_amp("auto", CPU) == expected
    assert resolve_amp("off", CPU) == "off" and resolve_amp("fp16", CPU) == "fp16"
