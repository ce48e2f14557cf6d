"""Pretrained text encoders of the transformers library: from a text to its tokens' states."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from sklearn_ser._models._files import TOKENIZERS, model_digest, read_config
from sklearn_ser._models._loading import read_encoder, reading
from sklearn_ser._models._running import frames_of, is_exact, pool_states, running, valid_frames
from sklearn_ser._models._windows import Moments, Window, windows
from sklearn_ser._utils import once

__all__ = ["TextModel", "Tokens", "load_text_model"]

Array = npt.NDArray[np.float32]

CONTEXT = 64  # tokens that a window of a long text sees as context, on each side
# What sums up a text for the task the model was trained on; no layer depends on it.
POOLER = ("pooler.dense.weight", "pooler.dense.bias", "pooler.weight", "pooler.bias")
PROBES = ("No!", "What do you want of me?", "I did not think that you would be back so soon.")


def load_text_model(folder: Path, device: str) -> TextModel:
    """Return the model in `folder`, shared by everything in this process that asks for it."""
    return _load(folder, model_digest(folder, TOKENIZERS), device)


@once(maxsize=2)
def _load(folder: Path, digest: str, device: str) -> TextModel:
    return TextModel(folder, device)


class Pass(NamedTuple):
    """Tokens that are run at once, special ones included, and which of them are wanted."""

    ids: list[int]
    valid: slice


@dataclass
class Tokens:
    """A text as its model's tokenizer cuts it."""

    n_valid: int  # without special ones
    passes: list[Pass]  # one, or the windows of a text too long for that

    @property
    def n_run(self) -> int:
        """How many tokens the model sees."""
        return sum(len(a_pass.ids) for a_pass in self.passes)


class TextModel:
    """A text encoder in evaluation mode, with its tokenizer.

    Parameters
    ----------
    folder : Path
        Where the model's files are.
    device : str
        "cpu", "cuda", "cuda:1", …

    Raises
    ------
    OSError
        If the folder holds no text encoder with a state for each token and layer.
    """

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import AutoTokenizer

        read_config(folder)
        self.folder, self.dtype = folder, torch.float32
        with reading(folder):
            self.tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        self._model = read_encoder(folder, unused=POOLER).to(device)
        if self._model.main_input_name != "input_ids":
            raise OSError(
                f"the model in {folder} takes {self._model.main_input_name}, not text. SSLEmbedder "
                "is for speech models."
            )
        self.device = next(self._model.parameters()).device
        self.max_tokens = _max_tokens(self.tokenizer, self._model)
        self._tokenizing = threading.Lock()  # it has a state of its own
        # Its last position is the mean of all layers.
        self._layers = range(self._model.config.num_hidden_layers + 2)
        probes = [self.tokens(text) for text in PROBES]
        with running(self.device):
            self._check(folder, probes[-1])
            self.may_batch = is_exact(
                lambda text: self._states([text])[0], self._states, probes, torch.float32
            )

    def _check(self, folder: Path, probe: Tokens) -> None:
        try:
            states = self._run(probe.passes)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise OSError(
                f"the {type(self._model).__name__} in {folder} cannot be run on the tokens of a "
                f"text alone ({type(error).__name__}: {error}). Use a text encoder with its own "
                "tokenizer."
            ) from error
        shapes = {tuple(state.shape) for state in states}
        expected = (1, probe.n_run, self._model.config.hidden_size)
        if shapes != {expected} or len(states) != len(self._layers) - 1:
            raise OSError(
                f"the {type(self._model).__name__} in {folder} gives {len(states)} states of "
                f"shapes {sorted(shapes)} for {probe.n_run} tokens; needed are "
                f"{len(self._layers) - 1}, each of shape {expected}."
            )
        if not all(state.isfinite().all() for state in states):
            raise OSError(f"the model in {folder} gives NaN; its weights are damaged.")

    def tokens(self, text: str) -> Tokens:
        """Cut a text into tokens, and a long one into windows.

        Each valid token is wanted of one window only.
        """
        with self._tokenizing:
            found = self.tokenizer(text, return_special_tokens_mask=True, verbose=False)
        ids, special = found["input_ids"], found["special_tokens_mask"]
        places = [i for i, is_special in enumerate(special) if not is_special]
        first, last = (places[0], places[-1] + 1) if places else (0, 0)
        before, words, after = ids[:first], ids[first:last], ids[last:]
        n_words, max_words = len(words), max(1, self.max_tokens - len(before) - len(after))
        spans = [Window(0, n_words, slice(0, n_words))]
        if n_words > max_words:
            spans = windows(n_words, max_words, min(CONTEXT, max_words // 4))
        passes = [
            Pass(
                [*before, *words[span.start : span.stop], *after],
                slice(first + span.keep.start, first + span.keep.stop),
            )
            for span in spans
        ]
        return Tokens(n_words, passes)

    def _run(self, passes: Sequence[Pass]) -> Sequence[torch.Tensor]:
        """Return the states of a padded batch, each of shape (n_passes, n_tokens, n_dims)."""
        n_tokens = [len(a_pass.ids) for a_pass in passes]
        longest = max(n_tokens)
        pad = self.tokenizer.pad_token_id or 0
        ids = [[*a_pass.ids, *[pad] * (longest - len(a_pass.ids))] for a_pass in passes]
        options = {}
        if min(n_tokens) < longest:
            options["attention_mask"] = valid_frames(n_tokens, longest, self.device).long()
        states: Sequence[torch.Tensor] = self._model(
            input_ids=torch.tensor(ids, device=self.device),
            output_hidden_states=True,
            return_dict=True,
            **options,
        ).hidden_states
        return states

    def _states(self, texts: Sequence[Tokens]) -> list[list[torch.Tensor]]:
        """Return the states of each text's tokens, of shape (n_tokens, n_dims)."""
        states = self._run([text.passes[0] for text in texts])
        return [[s[i, text.passes[0].valid] for s in states] for i, text in enumerate(texts)]

    def frames(self, text: Tokens) -> Array:
        """Return all layers and their mean, of shape (n_layers + 2, n_tokens, n_dims)."""
        with running(self.device):
            return np.concatenate([self._frames(a_pass) for a_pass in text.passes], axis=1)

    def _frames(self, a_pass: Pass) -> Array:
        return frames_of([state[:, a_pass.valid] for state in self._run([a_pass])], self._layers)

    def statistics(self, texts: Sequence[Tokens]) -> list[Array]:
        """Return every statistic of every layer, and of the layers' mean, for a batch of texts.

        Parameters
        ----------
        texts : sequence of Tokens
            Several only if `may_batch`, and none in windows.

        Returns
        -------
        records : list of ndarray of shape (n_layers + 2, n_statistics, n_dims), float32
        """
        with running(self.device):
            passes = texts[0].passes
            if len(passes) > 1:
                moments = Moments(texts[0].n_valid)
                for a_pass in passes:
                    moments.add(self._frames(a_pass))
                return [moments.statistics()]
            first = passes[0].valid.start
            states = [s[:, first:] for s in self._run([text.passes[0] for text in texts])]
            return pool_states(states, [text.n_valid for text in texts], self._layers)


def _max_tokens(tokenizer: Any, model: Any) -> int:
    """Return how many tokens, special ones included, have a position; huge if there is no end."""
    limits = [tokenizer.model_max_length]
    if (n_positions := getattr(model.config, "max_position_embeddings", None) or 0) > 0:
        limits.append(n_positions)
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            # RoBERTa and its kin count from behind the padding's own.
            skipped = 0 if module.padding_idx is None else module.padding_idx + 1
            limits.append(module.num_embeddings - skipped)
    return int(min(limits))
