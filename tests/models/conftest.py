"""Tiny models with random weights, one of each family that SSLEmbedder knows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

SMALL = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
WAVEFORM = {
    **SMALL,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 15,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 8,
}
SQUEEZED = {
    **WAVEFORM,
    "conv_dim": (16,) * 13,
    "squeeze_factor": 2,
}
GROUP_NORM = {"feat_extract_norm": "group", "do_stable_layer_norm": False}
LAYER_NORM = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
NORMALIZED = {"do_normalize": True, "return_attention_mask": True}
AS_IS = {"do_normalize": False, "return_attention_mask": False}
WHISPER = {
    "d_model": 24,
    "encoder_layers": 3,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "num_mel_bins": 16,
    "vocab_size": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 3,
    "max_target_positions": 8,
}

# Family → the start of its classes' names, its configuration, its feature extractor.
# "XLS-R" is wav2vec 2.0 in the large style; "MMS" adds the adapters of its attention layers.
FAMILIES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "wav2vec2-base": ("Wav2Vec2", {**WAVEFORM, **GROUP_NORM}, {**AS_IS, "do_normalize": True}),
    "XLS-R": ("Wav2Vec2", {**WAVEFORM, **LAYER_NORM}, NORMALIZED),
    "MMS": ("Wav2Vec2", {**WAVEFORM, **LAYER_NORM, "adapter_attn_dim": 4}, NORMALIZED),
    "HuBERT-base": ("Hubert", {**WAVEFORM, **GROUP_NORM}, AS_IS),
    "HuBERT-large": ("Hubert", {**WAVEFORM, **LAYER_NORM}, NORMALIZED),
    "WavLM-base": ("WavLM", {**WAVEFORM, **GROUP_NORM}, AS_IS),
    "WavLM-large": ("WavLM", {**WAVEFORM, **LAYER_NORM}, NORMALIZED),
    "data2vec": (
        "Data2VecAudio",
        {**WAVEFORM, "conv_pos_kernel_size": 5, "num_conv_pos_embeddings": 3},
        NORMALIZED,
    ),
    "UniSpeech-base": ("UniSpeech", {**WAVEFORM, **GROUP_NORM}, AS_IS),
    "UniSpeech-large": ("UniSpeech", {**WAVEFORM, **LAYER_NORM}, NORMALIZED),
    "UniSpeech-SAT-base": ("UniSpeechSat", {**WAVEFORM, **GROUP_NORM}, AS_IS),
    "UniSpeech-SAT-large": ("UniSpeechSat", {**WAVEFORM, **LAYER_NORM}, NORMALIZED),
    "SEW": ("SEW", SQUEEZED, AS_IS),
    "SEW-D": ("SEWD", SQUEEZED, AS_IS),
    "Conformer-relative": (
        "Wav2Vec2Conformer",
        {**WAVEFORM, **LAYER_NORM, "position_embeddings_type": "relative"},
        NORMALIZED,
    ),
    "Conformer-rotary": (
        "Wav2Vec2Conformer",
        {**WAVEFORM, **LAYER_NORM, "position_embeddings_type": "rotary"},
        NORMALIZED,
    ),
    "Wav2Vec2-BERT": ("Wav2Vec2Bert", {**SMALL, "vocab_size": 8}, {}),
    "Whisper": ("Whisper", WHISPER, {"feature_size": 16}),
}
EXTRACTORS = {"Wav2Vec2Bert": "SeamlessM4T", "Whisper": "Whisper"}


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Give every layer weights that change what passes through it, unlike fresh ones."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.ndim > 1:
                weight.copy_(noise * (weight.shape[0] / weight.numel()) ** 0.5)
            elif name.endswith("weight"):
                weight.copy_(1 + 0.2 * noise)
            else:
                weight.copy_(0.1 * noise)


def build(family: str, folder: Path, seed: int = 0, head: str = "Model", **changes: Any) -> Path:
    """Save a tiny model of a family, with its feature extractor, as save_pretrained does."""
    start, config, extractor = FAMILIES[family]
    config = getattr(transformers, f"{start}Config")(**{**config, **changes})
    model = getattr(transformers, f"{start}{head}")(config)
    randomise(model, seed)
    model.save_pretrained(folder)
    kind = EXTRACTORS.get(start, "Wav2Vec2")
    getattr(transformers, f"{kind}FeatureExtractor")(**extractor).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True, scope="module")
def _one_torch_thread():
    """Run torch on one thread; models so small only wait for more of them."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="session")
def build_model(tmp_path_factory) -> Callable[..., Path]:
    """Return a function that saves a new tiny model and returns its folder."""

    def build_new(family: str = "wav2vec2-base", **options: Any) -> Path:
        return build(family, tmp_path_factory.mktemp(family), **options)

    return build_new


@pytest.fixture(scope="session")
def tiny_model(build_model) -> Callable[[str], str]:
    """Return a function from a family to the folder of its model, made once; leave it as it is."""
    folders: dict[str, str] = {}

    def folder_of(family: str = "wav2vec2-base") -> str:
        if family not in folders:
            folders[family] = str(build_model(family))
        return folders[family]

    return folder_of


@pytest.fixture(scope="session", params=FAMILIES)
def family(request) -> str:
    """Every family in turn."""
    return request.param


@pytest.fixture(scope="session")
def clips(speech) -> list[tuple[Any, int]]:
    """Clips of 0.3 to 2.5 s, among them odd numbers of frames for every family."""
    lengths = [4800, 8411, 16000, 23456, 40000]
    return [(speech(i, n / 16000), 16000) for i, n in enumerate(lengths)]


@pytest.fixture
def three_cores():
    """Let torch have three threads, as if there were as many cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)
