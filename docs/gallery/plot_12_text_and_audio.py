"""
Text and audio
==============

Transcripts beside sound, by the same engine and store. A real text model is named by its id; here a
tiny one is built on the spot, so that the page runs offline, and knows nothing.
"""

# %%
import tempfile

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, set_seed

from sklearn_ser import SSLEmbedder, TextEmbedder
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import uar_score

words = ["[PAD]", "[UNK]", "i", "am", "so", "glad", "sad", "angry", "the", "door", "is", "open"]
tokenizer = Tokenizer(models.WordLevel({word: k for k, word in enumerate(words)}, "[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
folder = tempfile.mkdtemp()
PreTrainedTokenizerFast(
    tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
).save_pretrained(folder)
set_seed(0)
size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
BertModel(BertConfig(vocab_size=len(words), intermediate_size=64, **size)).save_pretrained(folder)

# %%
# Half of the clips say what is felt, the others say something else.
corpus = make_emotional_speech(n_speakers=4, n_sentences=4, random_state=0)
said = {"anger": "i am so angry", "happiness": "i am so glad", "sadness": "i am so sad"}
texts = [
    said.get(emotion, "the door is open") if k % 2 else "the door is open"
    for k, emotion in enumerate(corpus.y)
]
X = pd.DataFrame({"clip": corpus.X, "text": texts})


# %%
# A column transformer gives each embedder its column.
def score(*parts):
    pipe = make_pipeline(
        make_column_transformer(*parts),
        StandardScaler(),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    )
    predicted = cross_val_predict(pipe, X, corpus.y, groups=corpus.groups, cv=LeaveOneGroupOut())
    return round(uar_score(corpus.y, predicted), 3)


audio, text = (SSLEmbedder("nano"), "clip"), (TextEmbedder(folder), "text")
pd.Series({"audio": score(audio), "text": score(text), "both": score(audio, text)}, name="UAR")
