"""Hidden states are those of transformers, and an early stop runs fewer layers for the same."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from sklearn_ser import SSLEmbedder
from sklearn_ser._models import _speech_model
from sklearn_ser._models._front_end import UnsupportedFrontEnd
from sklearn_ser._models._running import distance, truncated
from sklearn_ser._models._speech_model import SpeechModel

N_LAYERS = 3


def model_of(folder):
    """Load a model that no other test has changed."""
    return SpeechModel(Path(folder), "cpu", "float32")


def states_of_transformers(folder, waveform):
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    inputs = extractor(waveform, sampling_rate=16000, return_tensors="pt")
    inputs = inputs[model.main_input_name]  # without a mask: it is not padded
    with torch.no_grad():
        return model(inputs, output_hidden_states=True).hidden_states


def layers_of(model):
    """Return the layers of a model, or of one with fewer."""
    (layers,) = [
        module
        for name, module in model.named_modules()
        if name in ("layers", "encoder.layers", "encoder.encoder.layer")
    ]
    return layers


def n_hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def own_states(model, waveform):
    """Return every hidden state of a clip that is alone, padding of Whisper's 30 s included."""
    clip = model.prepare_input(waveform)
    with torch.inference_mode():
        features = model._features(clip.parts)
        return model._hidden_states(features, clip.n_frames, N_LAYERS)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("own_front_end", [True, False])
def test_states_of_a_clip_alone_are_those_of_transformers(
    own_front_end, family, tiny_model, speech, monkeypatch
):
    """To the bit, but for the rounding of what is replaced: the front end, WavLM's attention."""
    if not own_front_end:

        def refuse(module):
            raise UnsupportedFrontEnd

        monkeypatch.setattr(_speech_model, "FrontEnd", refuse)
    model = model_of(tiny_model(family))
    is_replaced = model.front_end is not None or family.startswith("WavLM")
    waveform = speech(1, 1.2)
    found = own_states(model, waveform)
    expected = states_of_transformers(tiny_model(family), waveform)
    assert len(found) == len(expected) == N_LAYERS + 1
    for state, wanted in zip(found, expected, strict=True):
        assert state.shape == wanted.shape
        if is_replaced:
            assert distance(state, wanted) <= 1e-6
        else:
            assert torch.equal(state, wanted)


@pytest.mark.one_in(4)
@pytest.mark.parametrize("last_layer", [0, 1, 3])
def test_only_layers_that_are_wanted_run(last_layer, family, tiny_model, clips, tmp_path):
    folder = tiny_model(family)
    expected = SSLEmbedder(folder, layer=last_layer, cache=tmp_path).fit_transform(clips[:2])
    embedder = SSLEmbedder(folder, layer=last_layer, cache=None)
    embedder.fit_transform(clips[:1])
    model, ran = embedder._loaded(), []
    hooks = [
        layer.register_forward_hook(lambda module, args, out, i=i: ran.append(i))
        for one in {id(m): m for m in (model._model, *model._shorter.values())}.values()
        for i, layer in enumerate(layers_of(one), 1)
    ]
    found = embedder.fit_transform(clips[:2])
    for hook in hooks:
        hook.remove()
    assert sorted(set(ran)) == list(range(1, max(1, last_layer) + 1))  # one layer is the least
    np.testing.assert_array_equal(found, expected)


@pytest.mark.one_in(5)
@pytest.mark.parametrize("n_layers", [1, 2])
def test_an_early_stop_may_come_first(n_layers, family, tiny_model, speech):
    waveform = speech(2, 0.9)
    expected = own_states(model_of(tiny_model(family)), waveform)
    model = model_of(tiny_model(family))
    assert set(model._shorter) == {N_LAYERS}  # the first pass was one of all layers, …
    before = n_hooks(model._model)
    clip = model.prepare_input(waveform)
    first = model.frames(clip, [n_layers])[0]
    np.testing.assert_array_equal(first, expected[n_layers][0, : len(first)].numpy())
    whole = own_states(model, waveform)
    for state, wanted in zip(whole, expected, strict=True):
        assert torch.equal(state, wanted)
    assert n_hooks(model._model) == before  # … so transformers has nothing left to install


def test_early_stops_of_many_threads_are_right(tiny_model, speech):
    waveform = speech(2, 0.9)
    expected = own_states(model_of(tiny_model()), waveform)
    model, start, wrong = model_of(tiny_model()), threading.Barrier(6), []
    clip = model.prepare_input(waveform)

    def stop_early(n_layers):
        torch.set_num_threads(1)
        start.wait()
        for _ in range(20):
            (frames,) = model.frames(clip, [n_layers])
            if not np.array_equal(frames, expected[n_layers][0].numpy()):
                wrong.append(n_layers)

    threads = [threading.Thread(target=stop_early, args=(1 + i % 3,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert set(model._shorter) == {1, 2, 3}


def tensors_of(model):
    attributes = [value for module in model.modules() for value in vars(module).values()]
    return [
        *model.parameters(),
        *model.buffers(),
        *(value for value in attributes if isinstance(value, torch.Tensor)),
    ]


def test_a_model_of_fewer_layers_shares_all_weights(family, tiny_model):
    whole = model_of(tiny_model(family))._model
    fewer = truncated(whole, 2)
    assert len(layers_of(fewer)) == 2
    assert len(layers_of(whole)) == N_LAYERS
    assert {id(tensor) for tensor in tensors_of(fewer)} < {id(t) for t in tensors_of(whole)}
    assert not {id(m) for m in fewer.modules()} & {id(m) for m in whole.modules()}
    assert truncated(whole, N_LAYERS) is whole


def test_a_last_state_that_is_not_the_last_layers_is_refused(build_model, monkeypatch):
    """Older versions of transformers returned it after the final norm of large models."""
    folder, states = build_model("XLS-R"), _speech_model.hidden_states

    def normalised(model, **inputs):
        *others, last = states(model, **inputs)
        return (*others, model.encoder.layer_norm(last))

    monkeypatch.setattr(_speech_model, "hidden_states", normalised)
    with pytest.raises(OSError, match=r"last layer of the model in .*wav2vec2.*5\.16"):
        model_of(folder)
