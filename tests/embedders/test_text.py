"""Words beside sound: what TextEmbedder makes of transcripts."""

import functools
import json
import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
import torch
import transformers
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from sklearn_ser import MFCCEmbedder, TextEmbedder
from sklearn_ser._models._text_model import TextModel
from sklearn_ser._store import Store
from sklearn_ser._utils import STATISTICS, pool
from sklearn_ser.evaluation._features import feature_names, offline_feature_names
from sklearn_ser.exceptions import ClipError, ClipWarning

N_DIMS, N_LAYERS, N_POSITIONS = 16, 3, 24
SMALL = {
    "vocab_size": 40,
    "hidden_size": N_DIMS,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": N_POSITIONS,
    "pad_token_id": 0,
}
# RoBERTa's positions start behind its padding's.
SHIFTED = {**SMALL, "max_position_embeddings": N_POSITIONS + 1}
RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
FAMILIES = {
    "Bert": SMALL,
    "Roberta": SHIFTED,
    "XLMRoberta": SHIFTED,
    "DistilBert": {
        "vocab_size": 40,
        "dim": N_DIMS,
        "n_layers": N_LAYERS,
        "n_heads": 2,
        "hidden_dim": 24,
        "max_position_embeddings": N_POSITIONS,
    },
    "Deberta": {**SMALL, **RELATIVE},
    "DebertaV2": {**SMALL, **RELATIVE, "position_biased_input": False, "conv_kernel_size": 3},
    "MPNet": {**SHIFTED, "max_position_embeddings": N_POSITIONS + 2},
    "Electra": {**SMALL, "embedding_size": 8},
    "Albert": {**SMALL, "embedding_size": 8},
    "ModernBert": {**SMALL, "cls_token_id": 2, "sep_token_id": 3},
    # Mixes all positions, padding among them.
    "FNet": {key: SMALL[key] for key in SMALL if key != "num_attention_heads"},
}
WORDS = "the dog is so good that i do not know what you mean oh no wait for me please stop ! ? ."
NAMES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS.split()]
TEXTS = [
    "Oh no!",
    "I do not know what you mean.",
    "wait",
    "The dog is so good that I do not know what you mean; please, please stop!",
    "Is the dog good?",
]


def build(family, folder):
    """Save a tiny text encoder with random weights, and a tokenizer of WORDS."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # what some import, in transformers 4
        config = getattr(transformers, f"{family}Config")(**FAMILIES[family])
        model = getattr(transformers, f"{family}Model")(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(NAMES)}, "[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    """Return a function from a family to the folder of its model, made once."""
    folders = {}

    def folder_of(family="Bert"):
        if family not in folders:
            folders[family] = build(family, tmp_path_factory.mktemp(family))
        return folders[family]

    return folder_of


@pytest.fixture
def passes(monkeypatch):
    """Return the list of what each forward pass is given, from now on."""
    seen = []
    run = TextModel._run

    def counted(self, of_batch):
        seen.append([list(a_pass.ids) for a_pass in of_batch])
        return run(self, of_batch)

    monkeypatch.setattr(TextModel, "_run", counted)
    return seen


@functools.cache
def load(folder):
    model = transformers.AutoModel.from_pretrained(folder).eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


def plain(folder, text):
    """Return the states of a text's own tokens, of shape (n_layers + 1, n_tokens, n_dims)."""
    model, tokenizer = load(folder)
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        states = model(ids, output_hidden_states=True).hidden_states
    return torch.cat(states)[:, 1:-1].numpy()


def assert_close(found, expected):
    for row, wanted in zip(found, expected, strict=True):
        assert np.linalg.norm(row - wanted) <= 1e-5 * np.linalg.norm(wanted)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_and_statistic_is_that_of_plain_transformers(text_model, family):
    folder = text_model(family)
    embedder = TextEmbedder(folder, layer="all", pooling=list(STATISTICS))
    states = [plain(folder, text) for text in TEXTS]
    expected = np.stack([pool(of_text).reshape(-1) for of_text in states])
    embedded = embedder.fit_transform(TEXTS)
    assert_close(embedded, expected)  # all at once
    alone = [TextEmbedder(**{**embedder.get_params(), "cache": None}).transform([t]) for t in TEXTS]
    assert_close(np.concatenate(alone), expected)
    mean = TextEmbedder(folder, layer="mean", pooling="std").transform(TEXTS)
    assert_close(mean, [pool(of_text.mean(axis=0))[1] for of_text in states])


def test_each_layer_and_statistic_is_selected(text_model, passes):
    everything = TextEmbedder(text_model(), layer="all", pooling=list(STATISTICS))
    embedded = everything.fit_transform(TEXTS)
    names = everything.get_feature_names_out()
    del passes[:]
    for layer in range(N_LAYERS + 1):
        for statistic in STATISTICS:
            chosen = TextEmbedder(text_model(), layer=layer, pooling=statistic).fit(TEXTS)
            columns = np.isin(names, chosen.get_feature_names_out())
            np.testing.assert_array_equal(chosen.transform(TEXTS), embedded[:, columns])
    assert names[N_DIMS] == "layer0_std_0000"
    assert passes == []


def test_tokens_are_given_without_special_ones(text_model):
    embedder = TextEmbedder(text_model(), layer=[1, -1], pooling=None)
    sequences = embedder.fit_transform(TEXTS)
    for text, sequence in zip(TEXTS, sequences, strict=True):
        np.testing.assert_allclose(
            sequence, np.hstack(plain(text_model(), text)[[1, -1]]), rtol=1e-4, atol=1e-5
        )


def test_a_text_is_computed_once_however_many_say_it(text_model, passes):
    TextEmbedder(text_model()).fit_transform(["wait"])  # loads the model, and probes it
    del passes[:]
    said = ["Oh no!", "wait", "Stop!", "Oh no!", "Oh no!"] * 10
    embedded = TextEmbedder(text_model()).fit_transform(said)
    run = [" ".join(NAMES[i] for i in ids) for batch in passes for ids in batch]
    assert sorted(run) == ["[CLS] oh no ! [SEP]", "[CLS] stop ! [SEP]"]
    np.testing.assert_array_equal(embedded[0], embedded[3])


@pytest.mark.parametrize(
    ("family", "batches"), [("Roberta", [5]), ("DebertaV2", [5]), ("FNet", [1, 1, 1, 1, 1])]
)
def test_texts_share_a_pass_unless_they_would_notice(text_model, passes, family, batches):
    embedder = TextEmbedder(text_model(family)).fit(TEXTS)
    embedder.transform(["please"])  # loads the model, and probes it
    del passes[:]
    embedder.transform(TEXTS)
    assert [len(batch) for batch in passes] == batches


def test_records_belong_to_weights_and_tokenizer(text_model, tmp_path, cache_folder):
    first = TextEmbedder(text_model()).fit_transform(TEXTS)
    folder = tmp_path / "other"
    build("Bert", folder)
    described = folder / "tokenizer.json"
    described.write_text(described.read_text().replace('"Lowercase"', '"NFC"'))
    second = TextEmbedder(str(folder)).fit_transform(TEXTS)
    assert len(Store(cache_folder).list()) == 2
    assert not np.allclose(first[0], second[0])  # "Oh" is no word there
    np.testing.assert_allclose(first[2], second[2], rtol=1e-4, atol=1e-5)


MISSING = [None, float("nan"), np.float32("nan"), pd.NA, "", " \n\t", "\u200b", "\ufeff"]


@pytest.mark.parametrize("nothing", MISSING, ids=ascii)
class TestMissing:
    def test_is_a_row_of_zeros(self, text_model, nothing):
        embedder = TextEmbedder(text_model(), layer="all")
        embedded = embedder.fit_transform([TEXTS[0], nothing, TEXTS[1]])
        assert not embedded[1].any()
        np.testing.assert_array_equal(embedded[[0, 2]], embedder.transform(TEXTS[:2]))
        assert np.isfinite(StandardScaler().fit_transform(embedded)).all()
        assert np.isfinite(make_pipeline(embedder, StandardScaler()).fit_transform([nothing])).all()

    def test_is_a_row_of_nan(self, text_model, nothing):
        embedded = TextEmbedder(text_model(), missing="nan").fit_transform([nothing, TEXTS[0]])
        assert np.isnan(embedded).all(axis=1).tolist() == [True, False]

    def test_is_an_error(self, text_model, nothing):
        embedder = TextEmbedder(text_model(), missing="raise").fit([nothing])
        with pytest.raises(ClipError, match=r'clip 1 .*missing.*Set missing="zeros"'):
            embedder.transform([TEXTS[0], nothing])

    def test_is_one_token_of_zeros(self, text_model, nothing):
        (sequence,) = TextEmbedder(text_model(), pooling=None).fit_transform([nothing])
        np.testing.assert_array_equal(sequence, np.zeros((1, N_DIMS)))


def test_a_text_without_tokens_is_missing(tmp_path):
    build("Bert", tmp_path)
    described = tmp_path / "tokenizer.json"
    strip = '{"type": "Replace", "pattern": {"String": "?"}, "content": ""}'
    text = transformers.AutoTokenizer.from_pretrained(tmp_path).backend_tokenizer.to_str()
    described.write_text(text.replace('{"type":"Lowercase"}', strip))
    assert not TextEmbedder(str(tmp_path)).fit_transform(["??"]).any()
    with pytest.raises(ClipError, match="no token that the model knows"):
        TextEmbedder(str(tmp_path), missing="raise").fit_transform(["wait", "??"])


@pytest.mark.parametrize("family", ["Bert", "Roberta", "MPNet", "DistilBert"])
def test_long_texts_are_run_in_windows_that_count_each_token_once(text_model, family, passes):
    folder = text_model(family)
    most = N_POSITIONS - 2
    rng = np.random.default_rng(0)
    fits, long = (" ".join(rng.choice(WORDS.split(), n)) for n in (most, 100))
    embedder = TextEmbedder(folder, layer=[0, 2], cache=None).fit(TEXTS)
    assert_close(embedder.transform([fits]), [pool(plain(folder, fits)[[0, 2]])[:, 0].ravel()])
    del passes[:]
    with pytest.warns(ClipWarning, match=r"clip 1 \(.*has 100 tokens, and the model takes 24"):
        embedded = embedder.transform([fits, long])
    assert max(len(ids) for batch in passes for ids in batch) <= N_POSITIONS
    with pytest.warns(ClipWarning, match="9 windows"):
        (tokens,) = TextEmbedder(folder, layer=[0, 2], pooling=None).fit_transform([long])
    assert len(tokens) == 100
    assert_close(embedded[1:], [tokens.mean(axis=0)])


def test_a_window_starts_where_the_one_before_ends(text_model):
    """With no position in them, first states tell which tokens were kept, and in which order."""
    folder = text_model("DebertaV2")
    long = " ".join(np.random.default_rng(1).choice(WORDS.split(), 100))
    one_by_one = {w: plain(folder, w)[0, 0] for w in set(long.split())}
    with pytest.warns(ClipWarning, match="windows"):
        (tokens,) = TextEmbedder(folder, layer=0, pooling=None).fit_transform([long])
    expected = np.stack([one_by_one[word] for word in long.split()])
    np.testing.assert_allclose(tokens, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "collect",
    [
        list,
        tuple,
        lambda texts: np.array(texts, dtype=object),
        lambda texts: np.array(texts),
        lambda texts: np.array(texts)[:, None],
        pd.Series,
        lambda texts: pd.Series(texts, dtype="string"),
        lambda texts: pd.DataFrame({"text": texts}),
        pl.Series,
        lambda texts: pl.DataFrame({"text": texts}),
    ],
)
def test_any_collection_of_texts(text_model, collect):
    embedder = TextEmbedder(text_model())
    expected = embedder.transform(TEXTS)
    np.testing.assert_array_equal(embedder.fit_transform(collect(TEXTS)), expected)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("one text", "Wrap it in a list"),
        (np.zeros((3, 2)), "single column"),
        (pd.DataFrame({"a": ["b"], "c": ["d"]}), "single column"),
        (["fine", 3.5], r"clip 1 \(float\): not a text: 3.5"),
        ([b"bytes"], "not a text"),
        ([["a", "list"]], "not a text"),
    ],
)
def test_what_is_no_text_is_an_error(text_model, X, message):
    with pytest.raises(ValueError, match=message):
        TextEmbedder(text_model()).fit_transform(X)


def test_words_beside_sound(text_model, speech, passes):
    frame = pd.DataFrame(
        {
            "clip": [(speech(seed, 0.2), 16000) for seed in range(12)],
            "text": [*TEXTS, None] * 2,
            "emotion": ["anger", "joy"] * 6,
        }
    )
    columns = ColumnTransformer(
        [
            ("sound", MFCCEmbedder(5), "clip"),
            ("words", TextEmbedder(text_model()), "text"),
        ]
    )
    pipe = make_pipeline(columns, StandardScaler(), LogisticRegression())
    grid = {
        "columntransformer__words__layer": range(N_LAYERS + 1),
        "columntransformer__words__pooling": ["mean", "max"],
    }
    columns.fit(frame)
    names = columns.get_feature_names_out()
    assert {name.partition("__")[0] for name in names} == {"sound", "words"}
    assert "words__layer1_mean_0000" in names
    assert columns.set_output(transform="pandas").transform(frame).columns.tolist() == list(names)
    del passes[:]
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(frame, frame["emotion"])
    assert search.predict(frame).shape == (12,)
    assert passes == []


def test_text_is_no_feature_set_of_clips():
    assert "text" not in feature_names()
    assert "text" not in offline_feature_names()


def test_scikit_learn_knows_what_it_takes():
    tags = TextEmbedder().__sklearn_tags__()
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert not tags.requires_fit


def test_weights_are_never_carried_along(text_model):
    used = TextEmbedder(text_model(), layer=[0, -1])
    embedded = used.fit_transform(TEXTS)
    assert len(pickle.dumps(used)) < 10_000
    dumped = skops.io.dumps(used)
    trusted = skops.io.get_untrusted_types(data=dumped)
    assert all(name.startswith("sklearn_ser.") for name in trusted)
    np.testing.assert_array_equal(
        skops.io.loads(dumped, trusted=trusted).transform(TEXTS), embedded
    )


def test_progress_tells_no_hours_of_audio(text_model, capsys):
    TextEmbedder(text_model(), verbose=True).fit_transform(TEXTS)
    shown = capsys.readouterr().err
    assert "5/5" in shown
    assert "audio" not in shown


def assert_fails_clearly(folder, *parts):
    with pytest.raises(OSError, match=".*".join(parts)) as caught:
        TextEmbedder(str(folder)).fit_transform(TEXTS)
    assert str(folder) in str(caught.value)


def test_a_folder_without_a_tokenizer_is_told(tmp_path):
    build("Bert", tmp_path)
    for path in tmp_path.glob("*token*"):
        path.unlink()
    assert_fails_clearly(tmp_path, "lacks tokenizer.json", "save_pretrained", "tokenizer")


def test_a_speech_model_is_told():
    with pytest.raises(OSError, match=r"lacks tokenizer\.json"):
        TextEmbedder("nano").fit(TEXTS)


def test_missing_weights_are_told(tmp_path):
    build("Bert", tmp_path)
    config = tmp_path / "config.json"
    config.write_text(
        config.read_text().replace('"num_hidden_layers": 3', '"num_hidden_layers": 4')
    )
    assert_fails_clearly(tmp_path, "lack 16 of the model's weights", "would be random")


def test_a_pooler_may_be_missing(tmp_path):
    folder = build("Bert", tmp_path / "whole")
    without = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False)
    without.save_pretrained(tmp_path / "without")
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "without")
    np.testing.assert_array_equal(
        TextEmbedder(str(tmp_path / "without")).fit_transform(TEXTS),
        TextEmbedder(folder).fit_transform(TEXTS),
    )


@pytest.mark.parametrize(
    ("name", "value", "is_refused"),
    [
        ("encoder.layer.1.output.dense.weight", float("nan"), True),
        ("encoder.layer.1.output.dense.bias", float("inf"), True),
        ("encoder.layer.0.attention.self.query.weight", 0, True),
        ("encoder.layer.0.output.LayerNorm.weight", 0, True),
        ("embeddings.word_embeddings.weight", 0, True),
        ("embeddings.token_type_embeddings.weight", 0, False),  # as RoBERTa's are
        ("encoder.layer.1.output.dense.bias", 0, False),
        ("pooler.dense.weight", float("nan"), False),
    ],
)
def test_damaged_weights_are_told(tmp_path, name, value, is_refused):
    folder = build("Bert", tmp_path)
    model = transformers.BertModel.from_pretrained(folder)
    torch.nn.init.constant_(model.get_parameter(name), value)
    model.save_pretrained(folder)
    if is_refused:
        message = "model in", "NaN, infinite or all the same in 1 of", re.escape(name)
        assert_fails_clearly(tmp_path, *message)
    else:
        assert np.isfinite(TextEmbedder(str(folder)).fit_transform(TEXTS)).all()


@pytest.mark.parametrize("cache", [None, "auto"])
@pytest.mark.parametrize("pooling", ["mean", None])
def test_values_that_overflow_are_an_error(tmp_path, pooling, cache):
    """What the probes at loading do not hit: the embedding of one word."""
    folder = build("Bert", tmp_path)
    model = transformers.BertModel.from_pretrained(folder)
    word = NAMES.index("stop")
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[word] = 1e38 * torch.linspace(-3, 3, N_DIMS)
    model.save_pretrained(folder)
    embedder = TextEmbedder(str(folder), pooling=pooling, cache=cache, missing="nan")
    with pytest.raises(ValueError, match=rf"{folder} gives NaN .*float32, as for clip 1 \(Stop!"):
        embedder.fit_transform(["Oh no!", "Stop!"])


def test_a_model_that_takes_more_than_text_is_refused(tmp_path):
    build("Bert", tmp_path)
    audio = {
        "hidden_size": 16,
        "depths": [1],
        "num_attention_heads": [2],
        "patch_embeds_hidden_size": 8,
    }
    config = transformers.ClapConfig(
        text_config=SMALL, audio_config={**audio, "spec_size": 32, "num_mel_bins": 8}
    )
    transformers.ClapModel(config).save_pretrained(tmp_path)
    assert_fails_clearly(tmp_path, "ClapModel in", "cannot be run on the tokens of a text alone")


@pytest.mark.parametrize("name", ["num_hidden_layers", "hidden_size"])
def test_a_model_without_layers_is_refused(tmp_path, name):
    folder = build("Bert", tmp_path)
    config = Path(folder, "config.json")
    config.write_text(json.dumps({**json.loads(config.read_text()), name: 0}))
    assert_fails_clearly(tmp_path, "config.json is that of a 'bert' model with", name, "=0")


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")  # transformers 4
def test_a_model_without_a_state_for_each_token_is_told(tmp_path):
    build("Bert", tmp_path)
    config = transformers.FunnelConfig(
        vocab_size=40, d_model=16, n_head=2, d_head=8, d_inner=24, block_sizes=[1, 1]
    )
    transformers.FunnelModel(config).save_pretrained(tmp_path)
    assert_fails_clearly(tmp_path, "FunnelModel", "states of shapes")


def test_what_is_not_to_be_had_is_told():
    with pytest.raises(OSError, match=r"not a folder here.*hub's cache.*save_pretrained"):
        TextEmbedder("nobody/no-such-model").fit(TEXTS)
