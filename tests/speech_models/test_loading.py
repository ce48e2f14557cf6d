"""Finding and loading models: what works, and how the rest fails."""

import json
import logging
import shutil
import time
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from sklearn_ser import SSLEmbedder
from sklearn_ser.speech_models import find_model, load_model, model_digest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "model.safetensors"
TRANSFORMERS_4 = transformers.__version__.startswith("4.")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of the hub, offline."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return folder


def put_into_hub(hub: Path, model: Path, name: str = "org/speech", revision: str = "main") -> Path:
    """Lay a model out as the hub's cache does."""
    root = hub / f"models--{name.replace('/', '--')}"
    snapshot = root / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / revision).write_text(COMMIT)
    (root / "blobs").mkdir()
    for file in Path(model).iterdir():
        blob = root / "blobs" / f"{file.name}-blob"
        shutil.copy(file, blob)
        (snapshot / file.name).symlink_to(Path("../../blobs") / blob.name)
    return snapshot


def embed(model: object, clips: list, **options: object) -> np.ndarray:
    return SSLEmbedder(str(model), layer="all", cache=None, **options).fit_transform(clips)


def assert_fails_clearly(model: object, clips: list, *parts: str, **options: object) -> None:
    start = time.perf_counter()
    with pytest.raises(OSError) as caught:  # noqa: PT011, matched below
        embed(model, clips, **options)
    assert time.perf_counter() - start < 10
    assert type(caught.value) is OSError
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("revision", ["main", "v1"])
def test_a_model_in_the_hubs_cache_is_found_offline_by_its_id(hub, tiny_model, clips, revision):
    snapshot = put_into_hub(hub, tiny_model(), revision=revision)
    wanted = None if revision == "main" else revision
    assert find_model("org/speech", wanted) == snapshot
    embedded = embed("org/speech", clips, revision=wanted)
    np.testing.assert_array_equal(embedded, embed(tiny_model(), clips))


def test_a_model_that_is_not_here_fails_offline(hub, clips):
    assert_fails_clearly("org/none", clips, "'org/none'", "the hub's cache", "go online once")
    assert_fails_clearly("/no/such/folder", clips, "'/no/such/folder' is not a folder here")


def test_a_model_that_is_not_here_fails_without_a_network(hub, clips, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    assert_fails_clearly("org/none", clips, "'org/none'", "the hub (", "go online once")


def test_an_incomplete_model_in_the_hubs_cache_fails_offline(hub, tiny_model, clips):
    snapshot = put_into_hub(hub, tiny_model())
    (snapshot / WEIGHTS).unlink()
    assert_fails_clearly("org/speech", clips, "'org/speech'", "lacks model*.safetensors or")


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", WEIGHTS])
def test_an_incomplete_folder_fails(build_model, clips, name):
    folder = build_model()
    (folder / name).unlink()
    lacking = name.replace("model.", "model*.")
    assert_fails_clearly(folder, clips, str(folder), f"lacks {lacking}", "save_pretrained")


def test_damaged_weights_fail(build_model, clips):
    folder = build_model()
    whole = (folder / WEIGHTS).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"version https://git-lfs.github.com/spec/v1\n"):
        (folder / WEIGHTS).write_bytes(damaged)
        assert_fails_clearly(folder, clips, str(folder), "cannot be loaded")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", "{}"),
        ("config.json", '{"model_type": "speech"}'),
        pytest.param(
            "config.json",
            '{"model_type": "wav2vec2", "hidden_size": "large"}',
            marks=pytest.mark.skipif(TRANSFORMERS_4, reason="it checks no types"),
        ),
        *[("config.json", content) for content in ("", "{", "[]")],
        *[("preprocessor_config.json", content) for content in ("", "{", "[]")],
    ],
)
def test_damaged_settings_fail(build_model, clips, name, content):
    folder = build_model()
    (folder / name).write_text(content)
    assert_fails_clearly(folder, clips, str(folder))


@pytest.mark.parametrize(
    ("family", "head", "prefix"),
    [
        ("wav2vec2-base", "Model", ""),
        ("wav2vec2-base", "ForCTC", "wav2vec2."),
        ("Whisper", "Model", ""),
        ("Whisper", "ForConditionalGeneration", "model."),
    ],
)
def test_missing_and_misshapen_weights_fail(build_model, clips, family, head, prefix):
    folder = build_model(family, head=head)
    weights = load_file(folder / WEIGHTS)
    name = "encoder.layers.1.final_layer_norm.weight"
    del weights[prefix + name]
    for misshapen in ({}, {prefix + name: torch.zeros(3)}):
        save_file({**weights, **misshapen}, folder / WEIGHTS, metadata={"format": "pt"})
        assert_fails_clearly(folder, clips, "lack 1 of the model's weights", name)


def test_weights_of_the_decoder_and_of_training_may_be_missing(build_model, clips):
    for family, unused in (("Whisper", "decoder.layer_norm.bias"), ("XLS-R", "masked_spec_embed")):
        folder = build_model(family)
        before = embed(folder, clips)
        weights = load_file(folder / WEIGHTS)
        del weights[unused]
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
        np.testing.assert_array_equal(embed(folder, clips), before)


def test_text_and_picture_models_fail(tiny_model, tmp_path, clips):
    bert = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8,
        vocab_size=8, max_position_embeddings=8,
    )  # fmt: skip
    spectrogram = transformers.ASTConfig(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8,
        max_length=128, num_mel_bins=16,
    )  # fmt: skip
    transformers.BertModel(bert).save_pretrained(tmp_path / "bert")
    assert_fails_clearly(tmp_path / "bert", clips, "preprocessor_config.json")
    settings = Path(tiny_model()) / "preprocessor_config.json"
    shutil.copy(settings, tmp_path / "bert")
    assert_fails_clearly(tmp_path / "bert", clips, "takes input_ids, not speech")
    transformers.ASTModel(spectrogram).save_pretrained(tmp_path / "ast")
    transformers.ASTFeatureExtractor(max_length=128, num_mel_bins=16).save_pretrained(
        tmp_path / "ast"
    )
    assert_fails_clearly(tmp_path / "ast", clips, "ASTFeatureExtractor", "known are Wav2Vec2")


def test_code_that_comes_with_a_model_is_not_run(build_model, clips, tmp_path):
    folder = build_model()
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "other", "auto_map": {"AutoConfig": "other.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "other.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Config: pass")
    assert_fails_clearly(folder, clips, str(folder), "custom code")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("family", "head", "body"),
    [
        ("wav2vec2-base", "ForCTC", "wav2vec2"),
        ("HuBERT-large", "ForSequenceClassification", "hubert"),
        ("WavLM-base", "ForXVector", "wavlm"),
        ("XLS-R", "ForPreTraining", "wav2vec2"),
        ("Whisper", "ForConditionalGeneration", "model"),
        ("Whisper", "ForAudioClassification", "encoder"),
    ],
)
def test_a_checkpoint_with_a_head_gives_the_states_of_its_encoder(
    build_model, clips, family, head, body, tmp_path
):
    folder = build_model(family, head=head)
    (name,) = json.loads((folder / "config.json").read_text())["architectures"]
    checkpoint = getattr(transformers, name).from_pretrained(folder)
    plain = transformers.AutoModel.from_config(checkpoint.config)
    target = plain.encoder if body == "encoder" else plain
    target.load_state_dict(getattr(checkpoint, body).state_dict())
    plain.save_pretrained(tmp_path)
    shutil.copy(folder / "preprocessor_config.json", tmp_path)
    np.testing.assert_allclose(embed(folder, clips), embed(tmp_path, clips), rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_checkpoint_in_half_precision_runs_in_single(build_model, clips, dtype, tmp_path):
    folder = build_model()
    transformers.AutoModel.from_pretrained(folder).to(dtype).save_pretrained(folder)
    assert load_file(folder / WEIGHTS)["masked_spec_embed"].dtype == dtype
    transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).save_pretrained(tmp_path)
    shutil.copy(folder / "preprocessor_config.json", tmp_path)
    np.testing.assert_array_equal(embed(folder, clips), embed(tmp_path, clips))


@pytest.mark.parametrize("shards", [1, 2])
def test_every_format_of_weights_is_read(build_model, tiny_model, clips, shards):
    desired = embed(tiny_model(), clips)
    folder = build_model()
    weights = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    if shards == 1:
        torch.save(weights, folder / "pytorch_model.bin")
    else:
        model = transformers.AutoModel.from_pretrained(tiny_model())
        model.save_pretrained(folder, max_shard_size="60KB")
        assert len(list(folder.glob("model-*.safetensors"))) > 1
    np.testing.assert_array_equal(embed(folder, clips), desired)


@pytest.mark.skipif(TRANSFORMERS_4, reason="it does not nest them")
def test_settings_saved_by_a_processor_are_read_and_enter_the_digest(build_model, clips):
    folder = build_model()
    desired = embed(folder, clips)
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    nested = {"processor_class": "Wav2Vec2Processor", "feature_extractor": settings}
    (folder / "processor_config.json").write_text(json.dumps(nested))
    np.testing.assert_array_equal(embed(folder, clips), desired)
    before = model_digest(folder)
    nested["feature_extractor"]["do_normalize"] = False
    (folder / "processor_config.json").write_text(json.dumps(nested))
    assert model_digest(folder) != before
    assert not np.allclose(embed(folder, clips), desired, rtol=1e-3)


@pytest.mark.parametrize("enabled", [True, False])
def test_loading_prints_nothing_and_leaves_settings_as_they_were(
    build_model, clips, capfd, caplog, monkeypatch, enabled
):
    hub_logging = transformers.utils.logging
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    before = hub_logging.is_progress_bar_enabled()
    folder = build_model(head="ForCTC")
    (hub_logging.enable_progress_bar if enabled else hub_logging.disable_progress_bar)()
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    capfd.readouterr()
    caplog.clear()
    try:
        embed(folder, clips)
        assert hub_logging.is_progress_bar_enabled() == enabled
        assert hub_logging.get_verbosity() == logging.WARNING
    finally:
        (hub_logging.enable_progress_bar if before else hub_logging.disable_progress_bar)()
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_one_model_is_loaded_once_and_shared(tiny_model, clips):
    folder = Path(tiny_model("XLS-R"))
    first = load_model(folder, "cpu")
    embed(folder, clips)
    assert load_model(folder, "cpu") is first
