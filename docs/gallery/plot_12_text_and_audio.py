"""
Text and audio
==============

Transcripts beside sound, by the same engine and store. A real text model is named by its id; here a
tiny one is built on the spot, so that the page runs offline, and knows nothing.
"""

# %%
import tempfile

import numpy as np
import pandas as pd
import soundfile
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, set_seed
from transformers.utils import logging

from sklearn_ser import SSLEmbedder, TextEmbedder
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import compare
from sklearn_ser.plotting import DifferencesDisplay

words = ["[PAD]", "[UNK]", "i", "am", "so", "glad", "sad", "angry", "the", "door", "is", "open"]
tokenizer = Tokenizer(models.WordLevel({word: k for k, word in enumerate(words)}, "[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
folder = tempfile.mkdtemp()
PreTrainedTokenizerFast(
    tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
).save_pretrained(folder)
set_seed(0)
logging.disable_progress_bar()
size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
BertModel(BertConfig(vocab_size=len(words), intermediate_size=64, **size)).save_pretrained(folder)

# %%
# About half of the clips say what is felt, the others say something else.
corpus = make_emotional_speech(n_speakers=6, n_sentences=4, random_state=0)
said = {"anger": "i am so angry", "happiness": "i am so glad", "sadness": "i am so sad"}
says_it = np.random.default_rng(0).random(len(corpus.y)) < 0.5
paths = [f"{folder}/{k:03d}.wav" for k in range(len(corpus.y))]
for path, (waveform, rate) in zip(paths, corpus.X, strict=True):
    soundfile.write(path, waveform, rate)
corpus.X = paths
texts = {
    path: said.get(emotion, "the door is open") if says else "the door is open"
    for path, emotion, says in zip(paths, corpus.y, says_it, strict=True)
}


# %%
# ``compare`` takes classifiers of clips. A function gives each clip its text, and a column
# transformer gives each embedder its column.
def with_text(clips):
    return pd.DataFrame({"path": list(clips), "text": [texts[clip] for clip in clips]})


audio = (make_pipeline(SSLEmbedder("nano"), StandardScaler()), "path")
text = (make_pipeline(TextEmbedder(folder), StandardScaler()), "text")
rows = {
    name: make_pipeline(
        FunctionTransformer(with_text), make_column_transformer(*parts), LogisticRegression()
    )
    for name, parts in {"audio": [audio], "text": [text], "both": [audio, text]}.items()
}
comparison = compare(corpus, rows, audit=False)
comparison

# %%
# What text adds to the audio: the difference of their UARs, paired by speaker. The reference, the
# first row, was chosen before the scores were seen.
DifferencesDisplay.from_comparison(comparison, reference=0)
