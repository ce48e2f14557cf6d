"""Transcripts through a text encoder: what `TextEmbedder` computes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_ser._audio import Clip
from sklearn_ser._extraction import Extractor, Prepared
from sklearn_ser.exceptions import ClipError, ClipWarning

__all__ = ["TextExtractor"]

Array = npt.NDArray[np.float32]

BATCH_TOKENS = 1024.0  # padding included
BATCHES_AHEAD = 4


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
        if not text.n_own:
            cure = 'Set missing="zeros" or missing="nan", or leave the clip out.'
            raise clip.error("its transcript has no token that the model knows", cure)
        if len(text.passes) > 1:
            what = (
                f"has {text.n_own} tokens, and the model takes {model.max_tokens} at once: they "
                f"are run in {len(text.passes)} windows, in which they attend to each other"
            )
            warnings.warn(clip.note(what), ClipWarning, stacklevel=2)
        return Prepared(text, float(text.n_run), model.may_batch and len(text.passes) == 1)

    def compute(self, items: Sequence[Any]) -> list[Array | ClipError]:
        """Run a batch of texts."""
        if self._layers is None:
            return [s.reshape(-1, s.shape[-1]) for s in self.model.statistics(items)]
        frames = [self.model.frames(text) for text in items]
        return [np.concatenate([f[i] for i in self._layers], axis=1) for f in frames]
