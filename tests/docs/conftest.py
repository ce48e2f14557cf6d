"""What the pages' blocks find: corpora in the layout of real ones, and the hub's models, made tiny.

Speech is synthesised and weights are random, so that blocks run as they are copied, offline and in
seconds, with the names that they have on their page.
"""

import json
import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pandas as pd
import pytest
import soundfile
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from sklearn_ser.datasets import make_emotional_speech

ROOT = Path(__file__).parents[2]
LAYERS = {"num_hidden_layers": 12, "num_attention_heads": 2}
SMALL = {**LAYERS, "hidden_size": 24, "intermediate_size": 32}
WAVEFORM = {**SMALL, "conv_dim": (16,) * 7, "num_conv_pos_embeddings": 15}
WAVEFORM |= {"num_conv_pos_embedding_groups": 2, "vocab_size": 8}
WHISPER = {"d_model": 24, "encoder_layers": 6, "decoder_layers": 1, "encoder_ffn_dim": 32}
WHISPER |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 32}
WHISPER |= {"num_mel_bins": 16, "vocab_size": 16, "pad_token_id": 0, "bos_token_id": 1}
WHISPER |= {"eos_token_id": 2, "decoder_start_token_id": 3, "max_target_positions": 8}
CLASSES = {"id2label": dict(enumerate(["ang", "hap", "neu", "sad"])), "classifier_proj_size": 12}
RATINGS = {"id2label": dict(enumerate(["arousal", "dominance", "valence"]))}
# Id on the hub → the model's class, what its configuration has of its own, its feature extractor.
SPEECH = {
    "microsoft/wavlm-base-plus": ("WavLMModel", WAVEFORM, {}),
    "facebook/wav2vec2-base": ("Wav2Vec2Model", WAVEFORM, {"return_attention_mask": False}),
    "facebook/hubert-base-ls960": ("HubertModel", WAVEFORM, {"return_attention_mask": False}),
    "openai/whisper-base": ("WhisperModel", WHISPER, {"feature_size": 16}),
    "superb/wav2vec2-base-superb-er": (
        "Wav2Vec2ForSequenceClassification",
        WAVEFORM | CLASSES,
        {"return_attention_mask": False},
    ),
}
TEXT = {"FacebookAI/roberta-base": ("RobertaModel", {**SMALL, "vocab_size": 8})}
WORDS = ["<s>", "<pad>", "</s>", "<unk>", "so", "glad", "the", "door"]


def _save_speech(folder, name, changes, front):
    family = name.removesuffix("Model").removesuffix("ForSequenceClassification")
    config = getattr(transformers, f"{family}Config")(**changes)
    transformers.set_seed(0)
    getattr(transformers, name)(config).save_pretrained(folder)
    kind = "Whisper" if family == "Whisper" else "Wav2Vec2"
    getattr(transformers, f"{kind}FeatureExtractor")(**front).save_pretrained(folder)


def _save_text(folder, name, changes):
    transformers.set_seed(0)
    config = getattr(transformers, name.replace("Model", "Config"))(**changes, pad_token_id=1)
    getattr(transformers, name)(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: k for k, word in enumerate(WORDS)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    """Return a cache of the hub that holds tiny models under the names of real ones."""
    root = tmp_path_factory.mktemp("hub")
    for name, what in {**SPEECH, **TEXT}.items():
        place = root / f"models--{name.replace('/', '--')}"
        (place / "refs").mkdir(parents=True)
        (place / "refs" / "main").write_text("0" * 40)
        save = _save_speech if name in SPEECH else _save_text
        save(place / "snapshots" / ("0" * 40), *what)
    return root


def _emodb(folder, corpus):
    letters = {"anger": "W", "happiness": "F", "neutral": "N", "sadness": "T"}
    for (waveform, rate), row in zip(corpus.X, corpus.frame.itertuples(), strict=True):
        name = f"{row.speaker[1:]}a{row.sentence[-2:]}{letters[row.emotion]}a.wav"
        soundfile.write(folder / name, waveform, rate)


def _ravdess(folder, corpus):
    codes = {"anger": "05", "happiness": "03", "neutral": "01", "sadness": "04"}
    actors = {"s01": "01", "s02": "02", "s03": "03", "s04": "23", "s05": "24"}
    for (waveform, rate), row in zip(corpus.X, corpus.frame.itertuples(), strict=True):
        name = f"03-01-{codes[row.emotion]}-01-{row.sentence[-2:]}-01-{actors[row.speaker]}.wav"
        soundfile.write(folder / name, waveform, rate)


def _cremad(folder, corpus):
    codes = {"anger": "ANG", "happiness": "HAP", "neutral": "NEU", "sadness": "SAD"}
    for (waveform, rate), row in zip(corpus.X, corpus.frame.itertuples(), strict=True):
        sentence = {"1": "DFA", "2": "IEO"}[row.sentence[-1]]
        name = f"10{row.speaker[1:]}_{sentence}_{codes[row.emotion]}_XX.wav"
        soundfile.write(folder / name, waveform, rate)


def _meld(folder, corpus):
    names = {"anger": "anger", "happiness": "joy", "neutral": "neutral", "sadness": "sadness"}
    (folder / "train_splits").mkdir()
    rows = []
    for k, ((waveform, rate), row) in enumerate(
        zip(corpus.X, corpus.frame.itertuples(), strict=True)
    ):
        soundfile.write(folder / "train_splits" / f"dia{k}_utt0.wav", waveform, rate)
        rows.append(
            {"Utterance": "so glad" if k % 2 else "the door", "Speaker": row.speaker}
            | {"Emotion": names[row.emotion], "Sentiment": "", "Dialogue_ID": k, "Utterance_ID": 0}
            | {"Season": 1, "Episode": 1, "StartTime": "00:00:00,000", "EndTime": "00:00:02,000"}
        )
    pd.DataFrame(rows).to_csv(folder / "train_sent_emo.csv", index=False)


def _folder(folder, corpus):
    for (waveform, rate), row in zip(corpus.X, corpus.frame.itertuples(), strict=True):
        (folder / row.emotion).mkdir(exist_ok=True)
        name = f"speaker{row.speaker[1:]}_{row.sentence}.wav"
        soundfile.write(folder / row.emotion / name, waveform, rate)


def _emobox(folder, corpus):
    """Write RAVDESS and EmoBox's metadata of it, with two folds."""
    (folder / "downloads" / "ravdess").mkdir(parents=True)
    _ravdess(folder / "downloads" / "ravdess", corpus)
    codes = {"01": "neutral", "03": "happy", "04": "sad", "05": "angry"}
    lines = []
    for path in sorted((folder / "downloads").rglob("*.wav")):
        known = {"key": path.stem, "wav": str(path.relative_to(folder)), "channel": 1}
        lines.append(known | {"emo": codes[path.stem[6:8]], "length": 1.5})
    place = folder / "data" / "ravdess"
    for fold, tested in ((1, {"01", "02"}), (2, {"03", "23", "24"})):
        (place / f"fold_{fold}").mkdir(parents=True)
        for split in ("train", "test"):
            kept = [x for x in lines if (x["wav"][-6:-4] in tested) == (split == "test")]
            text = "\n".join(map(json.dumps, kept))
            (place / f"fold_{fold}" / f"ravdess_{split}_fold_{fold}.jsonl").write_text(text)
    (place / "label_map.json").write_text(json.dumps({code: code for code in codes.values()}))


def _ratings(home):
    """Return a table of three corpora with ratings, from their files' names."""
    rng, rows = np.random.default_rng(0), []
    arousal, valence = {"W": 4.5, "F": 4, "N": 2, "T": 1}, {"W": 1.5, "F": 4.5, "N": 3, "T": 2}
    letters = {"05": "W", "03": "F", "01": "N", "04": "T"}
    letters |= {"ANG": "W", "HAP": "F", "NEU": "N", "SAD": "T"}
    corpora = {
        "emodb": (slice(2), slice(5, 6)),
        "RAVDESS": (slice(-2, None), slice(6, 8)),
        "CREMAD": (slice(4), slice(9, 12)),
    }
    for corpus, (speaker, emotion) in corpora.items():
        for path in sorted((home / corpus).glob("*.wav")):
            letter = letters.get(path.stem[emotion], path.stem[emotion])
            rated = np.array([arousal[letter], valence[letter]]) + rng.normal(0, 0.2, 2)
            rows.append([f"{corpus}/{path.name}", corpus, path.stem[speaker], *rated])
    return pd.DataFrame(rows, columns=["file", "corpus", "speaker", "arousal", "valence"])


# Where a corpus is → its layout, and the seed of its clips: no two corpora share audio.
LAYOUTS = {
    "emodb": (_emodb, 0),
    "EMODB": (_emodb, 0),
    "corpora/ravdess": (_ravdess, 1),
    "RAVDESS": (_ravdess, 1),
    "CREMAD": (_cremad, 2),
    "MELD.Raw": (_meld, 3),
    "my_clips": (_folder, 4),
    "EmoBox": (_emobox, 1),
}


@pytest.fixture(scope="session")
def promised(tmp_path_factory, hub):
    """Return a folder with what the pages' blocks say is there."""
    home = tmp_path_factory.mktemp("home")
    for place, (write, seed) in LAYOUTS.items():
        (home / place).mkdir(parents=True)
        corpus = make_emotional_speech(n_speakers=5, n_sentences=2, random_state=seed)
        write(home / place, corpus)
    clips = sorted((home / "my_clips").rglob("*.wav"))
    table = pd.DataFrame({"path": [str(path.relative_to(home)) for path in clips]})
    table["emotion"] = [path.parent.name for path in clips]
    table["speaker"] = [path.name[:9] for path in clips]
    ratings = {"anger": 0.9, "happiness": 0.8, "neutral": 0.4, "sadness": 0.2}
    table["arousal"] = table["emotion"].map(ratings)
    table.to_csv(home / "my_clips.csv", index=False)
    _ratings(home).to_csv(home / "ratings.csv", index=False)
    renamed = {"path": "file", "emotion": "label"}
    table.assign(path=[str(path.relative_to(home / "my_clips")) for path in clips]).rename(
        columns=renamed
    ).to_csv(home / "clips.csv", index=False)
    for copy in ("AUDIO", "CLIPS", "clips"):
        (home / copy).symlink_to("my_clips")
    (home / "street").mkdir()
    rng = np.random.default_rng(0)
    soundfile.write(home / "street" / "cars.wav", 0.1 * rng.standard_normal(32000), 16000)
    soundfile.write(
        home / "interview.mp3", np.concatenate([clip for clip, _ in corpus.X[:8]]), 16000
    )
    source = hub / "models--openai--whisper-base" / "snapshots" / ("0" * 40)
    shutil.copytree(source, home / "MODEL")
    return home


@pytest.fixture
def page_folder(promised, hub, tmp_path, monkeypatch):
    """Enter a copy of what is promised, offline, with the repository's folder of documentation."""
    home = tmp_path / "home"
    shutil.copytree(promised, home, symlinks=True)
    (home / "docs").symlink_to(ROOT / "docs")
    monkeypatch.setenv("SKLEARN_SER_DATA", str(home))  # where `fetch_emodb` finds EmoDB
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(hub))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(home)
    return home
