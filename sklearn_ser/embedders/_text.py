"""Embeddings of what is said: transcripts through a pretrained text encoder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_ser._audio import Clip, need_clips
from sklearn_ser._extraction import Extractor, Prepared
from sklearn_ser._utils import StrOptions, find_device, is_missing, warn
from sklearn_ser.embedders._base import Array, RecordEmbedder
from sklearn_ser.embedders._layouts import ModelLayers
from sklearn_ser.exceptions import ClipError, ClipWarning

__all__ = ["TextEmbedder"]

BATCH_TOKENS = 1024.0  # padding included
BATCHES_AHEAD = 4
# Raise it when the same model and text would give other values; it is part of the key, in which it
# is called "meaning".
RECORD_VERSION = "hidden states; own tokens only; windows with 64 tokens of context; 1"


class TextEmbedder(ModelLayers, RecordEmbedder):
    """Layers of a pretrained text encoder, pooled over the tokens of a transcript.

    Any text encoder that transformers' ``AutoModel`` and ``AutoTokenizer`` load: BERT, RoBERTa,
    DistilBERT, DeBERTa, XLM-RoBERTa, MPNet, ELECTRA, ModernBERT, … and the encoders of T5 and
    BART. One pass over a text yields every layer and every statistic, which are kept: `layer`
    and `pooling` only choose among them. A sentence that many speakers say is run once.

    Takes a list or an object array of str, a Series, or a frame of one column, so that in a
    ``ColumnTransformer`` it is used with embedders of sound.

    Parameters
    ----------
    model : str, default="FacebookAI/xlm-roberta-base"
        A folder that `save_pretrained` of the model and its tokenizer wrote, or the id of a model
        on the Hugging Face hub. The default knows about a hundred languages.
    layer : int, "middle", "mean", "all", or list of int, default="middle"
        0 is what enters the first layer, k the output of layer k; negative numbers count from the
        end. "middle" is half the number of layers; "mean" averages the tokens of all layers, 0
        among them. A list or "all" concatenates.
    pooling : str, list of str, or None, default="mean"
        Statistics over tokens: "mean", "std", "min", "max", "median"; a list concatenates. None
        returns the tokens' states.
    revision : str, default=None
        Branch, tag or commit of a model on the hub.
    device : str, default="auto"
        Where the model runs: "cpu", "cuda", "cuda:1", …; "auto" takes a GPU if there is one.
    cache : str, path-like or None, default="auto"
        Where records are kept. "auto" is the environment variable ``SKLEARN_SER_CACHE`` or
        the platform's cache folder; None keeps nothing.
    missing : {"zeros", "nan", "raise"}, default="zeros"
        What a missing transcript does: None, NaN, ``pd.NA``, or a text without a visible
        character. "zeros" gives a row of zeros, which any classifier takes, and which learns
        nothing from other clips; "nan" a row of NaN, for an imputer inside of the pipeline or for
        classifiers that know what to do with it; "raise" an error that names the clip.
    verbose : bool, default=False
        Whether to show a progress bar.

    Raises
    ------
    OSError
        If there is no such model, it is no text encoder, its files lack weights, or weights are
        NaN, infinite, or zero throughout a layer.
    ClipError
        By `transform`, if a transcript is missing and ``missing="raise"``, or is no text.

    Warns
    -----
    ClipWarning
        If a text has more tokens than the model has positions.

    See Also
    --------
    SSLEmbedder : The same for speech.

    Notes
    -----
    Only the text's valid tokens are pooled: not those that the tokenizer puts around it ([CLS],
    [SEP], <s>, …), and no padding. A text gets the same numbers alone as with any others;
    a model in which that is not so is run text by text.

    A text with more tokens than the model has positions is run in windows that see up to 64
    tokens of context on both sides; each token is counted once. The median of a text of
    more than 6000 tokens that is run in windows is taken over every second, third, … token.

    States are those that transformers returns, so that the last layer of models with a final
    normalisation is taken after it.

    Texts are taken as they are: case and punctuation matter to most tokenizers.

    Examples
    --------
    >>> from sklearn_ser import TextEmbedder
    >>> words = TextEmbedder("FacebookAI/xlm-roberta-base", layer=[4, 8], pooling=["mean", "max"])
    >>> words.fit_transform(["I could not care less.", "Watch out!", None]).shape  # doctest: +SKIP
    (3, 3072)

    Text and audio, for a table with the columns path and text:

    >>> from sklearn.compose import ColumnTransformer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_ser import SSLEmbedder
    >>> both = ColumnTransformer([("sound", SSLEmbedder(), "path"), ("words", words, "text")])
    >>> pipe = make_pipeline(both, StandardScaler(), LogisticRegression())
    """

    short_name = "text"
    _parameter_constraints = {
        **RecordEmbedder._parameter_constraints,
        **ModelLayers.layer_constraints,
        "missing": [StrOptions({"zeros", "nan", "raise"})],
    }

    def __init__(
        self,
        model: str = "FacebookAI/xlm-roberta-base",
        layer: int | str | Sequence[int] = "middle",
        pooling: str | Sequence[str] | None = "mean",
        *,
        revision: str | None = None,
        device: str = "auto",
        cache: str | os.PathLike[str] | None = "auto",
        missing: str = "zeros",
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.layer = layer
        self.pooling = pooling
        self.revision = revision
        self.device = device
        self.cache = cache
        self.missing = missing
        self.verbose = verbose

    @property
    def on_error(self) -> str:
        """What a missing transcript does, as other embedders call it."""
        return "raise" if self.missing == "raise" else "nan"

    @property
    def fill_value(self) -> float:  # type: ignore[override]
        """What fills the row of a missing transcript."""
        return 0.0 if self.missing == "zeros" else np.nan

    def model_folder(self) -> Path:
        """Return where the model's files are, which may be downloaded for this.

        Returns
        -------
        folder : Path
        """
        from sklearn_ser._models import TOKENIZERS, find_model

        return find_model(self.model, self.revision, TOKENIZERS)

    def _loaded(self) -> Any:
        from sklearn_ser._models import load_text_model

        return load_text_model(self.model_folder(), find_device(self.device))

    def compute_settings(self) -> dict[str, Any]:
        """Return a digest of the files of the model and its tokenizer.

        Returns
        -------
        settings : dict
        """
        from sklearn_ser._models import TOKENIZERS, model_digest

        return {"weights": model_digest(self.model_folder(), TOKENIZERS), "meaning": RECORD_VERSION}

    def _items(self, X: Any, reset: bool) -> list[Any]:
        if isinstance(X, (str, bytes)):
            raise ValueError(f"X is one text, {X!r:.60}. Wrap it in a list.")
        need_clips(X)
        shape = getattr(X, "shape", (0,))
        if len(shape) > 1 and shape[1:] != (1,):
            raise ValueError(f"X has the shape {shape}, but texts are a single column.")
        if hasattr(X, "columns"):
            X = X[X.columns[0]]
        items = np.ravel(X) if isinstance(X, np.ndarray) else X
        return items.to_list() if hasattr(items, "to_list") else list(items)

    def _clips(self, items: list[Any]) -> Sequence[Clip]:
        return [_transcript(item, i) for i, item in enumerate(items)]

    def make_extractor(self) -> Extractor:
        """Return what runs the model.

        Returns
        -------
        extractor : TextExtractor
        """
        layers = [i for i, _ in self.layout().groups] if self.gives_sequences() else None
        return TextExtractor(self._loaded(), layers)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        return tags


def _transcript(item: Any, position: int) -> Clip:
    """Return the clip whose content is a text."""
    if isinstance(item, str) and any(c.isprintable() and not c.isspace() for c in item):
        return Clip(position, f"{item:.40}", item.encode())
    if isinstance(item, str) or (is_missing([item])[0] and not isinstance(item, bytes)):
        name, cause = "no words", "its transcript is missing"
        cure = 'Set missing="zeros" or missing="nan", or leave the clip out.'
        return Clip(position, name, ClipError(position, name, cause, cure))
    cure = "Pass str; None, NaN or an empty one stands for a transcript that is missing."
    raise ClipError(position, type(item).__name__, f"not a text: {item!r:.60}", cure)


class TextExtractor(Extractor):
    """Computes every statistic of every layer, or the tokens' states of some layers.

    Its seconds are tokens.

    Parameters
    ----------
    model : TextModel
    layers : sequence of int or None
        Layers whose tokens are wanted, side by side; None is statistics.
    """

    def __init__(self, model: Any, layers: Sequence[int] | None) -> None:
        super().__init__(
            n_concurrent=0,
            batch_seconds=BATCH_TOKENS if layers is None else 0.0,
            n_ahead=BATCHES_AHEAD,
            model=model,
        )
        self._layers = layers

    def prepare(self, clip: Clip, content: Any) -> Prepared:
        """Return a text's tokens."""
        model = self.model
        text = model.tokens(content.decode())
        if not text.n_valid:
            cure = 'Set missing="zeros" or missing="nan", or leave the clip out.'
            raise clip.error("its transcript has no token that the model knows", cure)
        if len(text.passes) > 1:
            what = (
                f"has {text.n_valid} tokens, and the model takes {model.max_tokens} at once: they "
                f"are run in {len(text.passes)} windows, in which they attend to each other"
            )
            warn(clip.note(what), ClipWarning)
        return Prepared(text, float(text.n_run), model.may_batch and len(text.passes) == 1)

    def compute(self, items: Sequence[Any]) -> list[Array | ClipError]:
        """Run a batch of texts."""
        if self._layers is None:
            return [s.reshape(-1, s.shape[-1]) for s in self.model.statistics(items)]
        frames = [self.model.frames(text) for text in items]
        return [np.concatenate([f[i] for i in self._layers], axis=1) for f in frames]
