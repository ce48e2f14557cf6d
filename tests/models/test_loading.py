"""Finding and loading models: what works, and how the rest fails."""

import json
import logging
import math
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from sklearn_ser import SSLEmbedder
from sklearn_ser._models import _files, _loading, find_model, load_model, model_digest
from sklearn_ser.classifiers import FineTunedClassifier, PretrainedEmotionClassifier

from .conftest import FAMILIES

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "model.safetensors"


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


def first(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that changes the first number of a tensor."""

    def change(weight: torch.Tensor) -> torch.Tensor:
        changed = weight.clone()
        changed.view(-1)[0] = value
        return changed

    return change


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
        ("config.json", '{"model_type": "wav2vec2", "hidden_size": "large"}'),
        *[("config.json", content) for content in ("", "{", "[]")],
        *[("preprocessor_config.json", content) for content in ("", "{", "[]")],
    ],
)
def test_damaged_settings_fail(build_model, clips, name, content):
    folder = build_model()
    (folder / name).write_text(content)
    assert_fails_clearly(folder, clips, str(folder))


RATES = [0, -16000, math.nan, math.inf, "16000", "16 kHz", None, True, 16000.5, 1, 10**9]
IMPOSSIBLE = {
    "wav2vec2-base": {"sampling_rate": RATES, "feature_size": [0, "1"]},
    "Whisper": {
        "sampling_rate": [0, math.nan],
        "hop_length": [0, -160],
        "chunk_length": [0, 30.5],
        "n_fft": ["400", 0],
    },
    "Wav2Vec2-BERT": {"sampling_rate": [0, "16000"], "stride": [0, 1.5], "num_mel_bins": [0]},
}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    ("family", "name", "value"),
    [
        (family, name, value)
        for family, settings in IMPOSSIBLE.items()
        for name, values in settings.items()
        for value in values
    ],
)
def test_impossible_settings_of_a_feature_extractor_are_named(
    tiny_model, clips, tmp_path, family, name, value, nested
):
    folder = Path(shutil.copytree(tiny_model(family), tmp_path / "model"))
    file = folder / "preprocessor_config.json"
    settings = json.loads(file.read_text()) | {name: value}
    if nested:  # as processors are saved
        file.unlink()
        file, settings = folder / "processor_config.json", {"feature_extractor": settings}
    file.write_text(json.dumps(settings))
    y, groups = list("ababa"), list("11223")
    runs = [
        lambda: SSLEmbedder(str(folder), cache=None, on_error="nan").fit_transform(clips),
        lambda: FineTunedClassifier(str(folder), cache=None).fit(clips, y, groups),
        lambda: PretrainedEmotionClassifier(str(folder), on_error="nan").predict_proba(clips),
    ]
    for run in runs:
        with pytest.raises(OSError, match=re.escape(f"{file} says {name}={value!r}, which must")):
            run()


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


# Configurations of transformers: spectrogram models, codecs, synthesis, language models that
# listen, text, pictures.
OTHER_FAMILIES = [
    "ASTConfig",
    "BertConfig",
    "ClapConfig",
    "DacConfig",
    "EncodecConfig",
    "FastSpeech2ConformerConfig",
    "GraniteSpeechConfig",
    "MimiConfig",
    "MoonshineConfig",
    "ParakeetEncoderConfig",
    "Pop2PianoConfig",
    "Qwen2AudioConfig",
    "Qwen2AudioEncoderConfig",
    "SeamlessM4TConfig",
    "SeamlessM4Tv2Config",
    "Speech2TextConfig",
    "SpeechT5Config",
    "UnivNetConfig",
    "ViTConfig",
    "VitsConfig",
    "VoxtralConfig",
    "VoxtralEncoderConfig",
    "XcodecConfig",
]


def test_the_families_that_are_read_are_those_that_are_compared_with_transformers():
    starts = {start for start, _, _ in FAMILIES.values()}
    compared = {getattr(transformers, f"{start}Config").model_type for start in starts}
    assert set(_files.FAMILIES) == compared


@pytest.mark.parametrize("config", OTHER_FAMILIES)
@pytest.mark.parametrize(
    "read",
    [
        lambda folder, clips: SSLEmbedder(folder).fit(clips),
        lambda folder, clips: SSLEmbedder(folder, cache=None).transform(clips),
        lambda folder, clips: PretrainedEmotionClassifier(folder).fit(clips),
        lambda folder, clips: FineTunedClassifier(folder).fit(
            clips, ["anger", "joy"] * 2 + ["joy"]
        ),
    ],
    ids=["SSLEmbedder.fit", "SSLEmbedder.transform", "Pretrained", "FineTuned"],
)
def test_a_model_of_another_family_is_refused_before_its_weights_are_read(
    config, read, tmp_path, clips
):
    kind = getattr(transformers, config)
    kind().save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"")
    with pytest.raises(OSError, match="is not read") as caught:
        read(str(tmp_path), clips)
    (family,) = re.findall(r"of the family '(.*?)', which", str(caught.value))
    assert family == kind.model_type
    assert str(tmp_path) in str(caught.value)
    assert "Those that are read are wav2vec 2.0, XLS-R, MMS, HuBERT, WavLM" in str(caught.value)


@pytest.mark.parametrize(
    ("family", "extractor"),
    [("wav2vec2-base", "Whisper"), ("Whisper", "Wav2Vec2"), ("Wav2Vec2-BERT", "Wav2Vec2")],
)
def test_the_feature_extractor_of_another_family_is_refused(build_model, clips, family, extractor):
    folder = build_model(family)
    getattr(transformers, f"{extractor}FeatureExtractor")().save_pretrained(folder)
    assert_fails_clearly(
        folder, clips, str(folder), f"comes with a {extractor}FeatureExtractor", "take the features"
    )


@pytest.mark.parametrize("name", ["num_hidden_layers", "hidden_size"])
@pytest.mark.parametrize("value", [0, -1, None])
def test_a_model_without_layers_fails(build_model, clips, name, value):
    folder = build_model()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, name: value}))
    assert_fails_clearly(folder, clips, str(folder / "config.json"))


def test_an_adapter_beside_a_model_fails(build_model, clips):
    """Transformers would add its weights, which no key tells, or read another model."""
    folder = build_model()
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "org/other"}')
    assert_fails_clearly(folder, clips, str(folder), "adapter of peft", "merge_and_unload")


def test_weights_under_another_name_fail(build_model, clips):
    """Transformers would read them in place of those that the digest is of."""
    folder = build_model()
    config = json.loads((folder / "config.json").read_text())
    config["transformers_weights"] = "other.safetensors"
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copy(folder / WEIGHTS, folder / "other.safetensors")
    assert_fails_clearly(folder, clips, str(folder), "transformers_weights='other.safetensors'")


# What can be wrong with weights: which of them, how, and whether the model is then refused.
DAMAGE = {
    "all NaN": (r"", lambda w: w * np.nan, True),
    "all zero": (r"", torch.zeros_like, True),
    "one NaN": (r"layers\.1\.final_layer_norm\.bias$", first(np.nan), True),
    "one infinite": (r"layers\.2\..*\.weight$", first(np.inf), True),
    "one layer zero": (r"layers\.1\..*q_proj\.weight$", torch.zeros_like, True),
    "one layer constant": (r"layers\.1\..*q_proj\.weight$", torch.ones_like, True),
    "one norm zero": (r"layers\.1\.final_layer_norm\.weight$", torch.zeros_like, True),
    "norms one": (r"layer_norm\.weight$", torch.ones_like, False),
    "biases zero": (r"bias$", torch.zeros_like, False),
}


def damage(folder: Path, where: str, change: Callable[[torch.Tensor], torch.Tensor]) -> list[str]:
    """Change the weights whose names fit, and return these names."""
    weights = load_file(folder / WEIGHTS)
    changed = [name for name in weights if re.search(where, name)]
    weights |= {name: change(weights[name]) for name in changed}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    assert changed
    return changed


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize(
    "family", ["wav2vec2-base", "HuBERT-large", "WavLM-base", "Whisper", "SEW"]
)
def test_damaged_values_of_weights_are_refused_once(build_model, clips, family, how):
    where, change, is_refused = DAMAGE[how]
    folder = build_model(family)
    changed = damage(folder, where, change)
    embedder = SSLEmbedder(str(folder), cache=None, on_error="nan")
    if not is_refused:
        assert np.isfinite(embedder.fit_transform(clips)).all()
        return
    with pytest.raises(OSError, match="NaN, infinite or all the same") as caught:
        embedder.fit_transform(clips)
    assert str(folder) in str(caught.value)
    assert "clip" not in str(caught.value).replace(str(folder), "")
    assert "Download or save it again." in str(caught.value)
    (named,) = re.findall(r"\((.*?)\):", str(caught.value).replace(str(folder), ""))
    for name in named.removesuffix(", …").split(", "):
        assert any(other.endswith(name.removeprefix("encoder.")) for other in changed)


@pytest.mark.parametrize(
    ("family", "table"), [("WavLM-base", "rel_attn_embed"), ("Whisper", "encoder.embed_positions")]
)
def test_a_table_of_positions_that_is_zero_is_refused(build_model, clips, family, table):
    folder = build_model(family)
    damage(folder, rf"{table}\.weight$", torch.zeros_like)
    assert_fails_clearly(folder, clips, str(folder), "in 1 of", table)


def test_damage_to_a_decoder_does_not_matter(build_model, clips):
    folder = build_model("Whisper")
    expected = embed(folder, clips)
    damage(folder, r"^decoder\.", lambda w: w * np.nan)
    np.testing.assert_array_equal(embed(folder, clips), expected)


def test_damaged_heads_are_refused(build_model, clips):
    folder = build_model(head="ForSequenceClassification")
    damage(folder, r"classifier\.weight$", torch.zeros_like)
    assert np.isfinite(embed(folder, clips)).all()  # only the head is
    with pytest.raises(
        OSError, match=rf"model in {folder} are damaged.* in 1 of .*classifier.weight"
    ):
        PretrainedEmotionClassifier(str(folder)).predict_proba(clips)
    damage(folder, r"layers\.0\..*q_proj\.weight$", torch.zeros_like)
    with pytest.raises(OSError, match=rf"model in {folder}.*q_proj"):
        FineTunedClassifier(str(folder)).fit(clips, ["anger", "joy"] * 2 + ["joy"], groups=range(5))


@pytest.mark.parametrize("cache", [None, "auto"])
@pytest.mark.parametrize("pooling", ["mean", None])
@pytest.mark.parametrize("batch_seconds", [None, "auto"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_values_that_the_precision_cannot_hold_are_an_error_for_all(
    build_model, clips, dtype, pooling, cache, batch_seconds
):
    """Products beyond 65504, and beyond 3e38, of weights that are finite."""
    folder = build_model("XLS-R")
    scale = {"float16": 1e3, "float32": 1e25}[dtype]
    damage(folder, r"layers\.1\.feed_forward\..*weight$", lambda w: w * scale)
    options = {"pooling": pooling, "cache": cache, "batch_seconds": batch_seconds, "layer": -1}
    embedder = SSLEmbedder(str(folder), dtype=dtype, on_error="nan", **options)
    remedy = {"float16": 'use dtype="bfloat16" or dtype="float32"', "float32": "damaged"}[dtype]
    with pytest.raises(ValueError, match=rf"{folder}.* in {dtype}, as for clip \d.*{remedy}"):
        embedder.fit_transform(clips)
    if dtype == "float16":
        embedder.set_params(dtype="float32")
        assert all(np.isfinite(row).all() for row in embedder.fit_transform(clips))


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


HEADS = [
    ("wav2vec2-base", "ForCTC"),
    ("wav2vec2-base", "ForSequenceClassification"),
    ("HuBERT-large", "ForSequenceClassification"),
    ("XLS-R", "ForPreTraining"),
    ("Whisper", "ForConditionalGeneration"),
]


@pytest.mark.parametrize("shows_bar", [True, False])
@pytest.mark.parametrize("verbosity", [logging.WARNING, logging.ERROR])
@pytest.mark.parametrize(("family", "head"), HEADS)
def test_loading_prints_nothing_and_leaves_settings_as_they_were(
    build_model, clips, capfd, caplog, monkeypatch, family, head, shows_bar, verbosity
):
    hub_logging = transformers.utils.logging
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    before = hub_logging.is_progress_bar_enabled(), hub_logging.get_verbosity()
    folder = build_model(family, head=head)
    (hub_logging.enable_progress_bar if shows_bar else hub_logging.disable_progress_bar)()
    hub_logging.set_verbosity(verbosity)
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    capfd.readouterr()
    caplog.clear()
    try:
        embed(folder, clips)
        assert hub_logging.is_progress_bar_enabled() == shows_bar
        assert hub_logging.get_verbosity() == verbosity
    finally:
        (hub_logging.enable_progress_bar if before[0] else hub_logging.disable_progress_bar)()
        hub_logging.set_verbosity(before[1])
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_loads_that_overlap_print_nothing_and_leave_settings_as_they_were(monkeypatch):
    """The second begins while the first is on its way, and ends after it."""
    hub_logging = transformers.utils.logging
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    reports = logging.getLogger("transformers.modeling_utils")
    seen: list[str] = []
    monkeypatch.setattr(reports, "handlers", [logging.Handler()])
    monkeypatch.setattr(reports.handlers[0], "emit", lambda record: seen.append(record.msg))
    before = hub_logging.is_progress_bar_enabled(), hub_logging.get_verbosity()
    hub_logging.enable_progress_bar()
    first_is_loading = threading.Event()

    def load_first() -> None:
        with _loading.quiet_loading():
            first_is_loading.set()
            time.sleep(0.1)
            reports.warning("first")

    def load_second() -> None:
        first_is_loading.wait()
        with _loading.quiet_loading():
            time.sleep(0.3)
            reports.warning("second")

    loads = [threading.Thread(target=load) for load in (load_first, load_second)]
    try:
        for load in loads:
            load.start()
        for load in loads:
            load.join()
        assert hub_logging.get_verbosity() == before[1]
        assert hub_logging.is_progress_bar_enabled()
        reports.warning("afterwards")
    finally:
        (hub_logging.enable_progress_bar if before[0] else hub_logging.disable_progress_bar)()
        hub_logging.set_verbosity(before[1])
    assert seen == ["afterwards"]


def test_one_model_is_loaded_once_and_shared(tiny_model, clips):
    folder = Path(tiny_model("XLS-R"))
    first = load_model(folder, "cpu")
    embed(folder, clips)
    assert load_model(folder, "cpu") is first
