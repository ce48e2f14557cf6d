"""The student: a small wav2vec 2.0 with layer norm, and how it learns from the teacher."""

import math
import time

import numpy as np
import torch
import transformers
from recordings import RATE
from torch.nn import functional

HOP = 320  # of the teacher
N_HEARD = 2  # frames of the teacher that one of the student stands for
CONFIG = {
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "conv_dim": (256, 256),
    "conv_kernel": (400, 4),
    "conv_stride": (160, 4),
    "conv_bias": True,
    "feat_extract_norm": "layer",  # so that padding changes nothing
    "do_stable_layer_norm": True,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 16,
    "vocab_size": 32,
    "mask_time_prob": 0.0,
}


def build(seed):
    """Return a student with random weights."""
    torch.manual_seed(seed)
    config = transformers.Wav2Vec2Config(
        **CONFIG,
        hidden_dropout=0.0,
        activation_dropout=0.0,
        attention_dropout=0.0,
        feat_proj_dropout=0.0,
        layerdrop=0.0,
        apply_spec_augment=False,
    )
    return transformers.Wav2Vec2Model(config)


def hear_pitches(model):
    """Let the first convolution start as a bank of filters, four phases of each frequency."""
    conv = model.feature_extractor.conv_layers[0].conv
    n_filters, _, kernel = conv.weight.shape
    n_bands = n_filters // 4
    mel = np.linspace(0, 2595 * np.log10(1 + 7600 / 700), n_bands + 2)[1:-1]
    centres = 700 * (10 ** (mel / 2595) - 1)
    t = (np.arange(kernel) - (kernel - 1) / 2) / RATE
    weight = np.zeros((n_filters, kernel))
    for band, centre in enumerate(centres):
        window = np.exp(-0.5 * (t * max(60.0, 0.12 * centre) * 2) ** 2) * np.hanning(kernel)
        for phase in range(4):
            filtered = window * np.cos(2 * np.pi * centre * t + phase * np.pi / 2)
            weight[4 * band + phase] = filtered / np.linalg.norm(filtered) * (centre / 300) ** 0.5
    with torch.no_grad():
        conv.weight.copy_(torch.from_numpy(weight[:, None]).float())
        conv.bias.normal_(0, 0.3)


class Heads(torch.nn.Module):
    """From the student's frames to the teacher's; thrown away afterwards."""

    def __init__(self, n_dims, n_layers, n_targets):
        super().__init__()
        self.heads = torch.nn.ModuleList(
            torch.nn.Linear(n_dims, n_targets) for _ in range(n_layers)
        )

    def forward(self, states):
        return torch.stack([head(s) for head, s in zip(self.heads, states, strict=True)], 2)


class Utterances:
    """Batches of waveforms of about one length, cropped to the shortest, with their targets."""

    def __init__(self, waveforms, frames, lengths):
        self.waveforms, self.frames, self.lengths = waveforms, frames, np.asarray(lengths)
        self.starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])

    def batches(self, indices, seconds, rng):
        order = indices[np.argsort(self.lengths[indices] + rng.uniform(-8, 8, len(indices)))]
        batches, batch = [], []
        for i in order:
            batch.append(i)
            if len(batch) * self.lengths[i] > seconds * 50:
                batches.append(batch)
                batch = []
        rng.shuffle(batches)
        return batches

    def load(self, batch):
        n = min(self.lengths[i] for i in batch)
        n_samples = min(n * HOP, *(len(self.waveforms[i]) for i in batch))
        waveforms = np.stack([self.waveforms[i][:n_samples] for i in batch]).astype(np.float32)
        waveforms /= 32768
        waveforms -= waveforms.mean(1, keepdims=True)
        waveforms /= np.sqrt(waveforms.var(1, keepdims=True) + 1e-7)
        frames = np.stack([self.frames[self.starts[i] : self.starts[i] + n] for i in batch])
        return torch.from_numpy(waveforms), aligned(torch.from_numpy(frames).float())


def aligned(frames):
    """Return the mean of the teacher's frames, (n, n_frames, …), that each of the student's hears.

    The student's first frame is centred between the second and the third of the teacher.
    """
    n = (frames.shape[1] - 1) // N_HEARD
    return frames[:, 1 : 1 + n * N_HEARD].unflatten(1, (n, N_HEARD)).mean(2)


DISTANCES = ("frames", "angles", "means of a clip", "deviations of a clip")
WEIGHTS = (1.0, 1.0, 0.3, 0.1)


def distances(found, wanted, spread):
    """Return how far frames, and what a clip's frames amount to, are from the teacher's.

    Parameters
    ----------
    found, wanted : tensors of shape (n_clips, n_frames, n_layers, n_dims)
    spread : tensors, two of shape (n_layers, n_dims)
        How much means and deviations differ between clips.
    """
    frames = functional.l1_loss(found, wanted)
    angles = 1 - functional.cosine_similarity(found, wanted, dim=-1).mean()
    of_mean, of_std = spread
    means = ((found.mean(1) - wanted.mean(1)) / of_mean).abs().mean()
    stds = ((found.std(1) - wanted.std(1)) / of_std).abs().mean()
    return frames, angles, means, stds


def train(model, utterances, *, minutes, seed, seconds=24.0, rate=2e-3, log=print):
    """Train a student for so many minutes; tell its distances on utterances kept back."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    n_layers, n_dims = utterances.frames.shape[1:]
    heads = Heads(model.config.hidden_size, n_layers, n_dims)
    parameters = [*model.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(
        parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.02, fused=True
    )
    indices = rng.permutation(len(utterances.lengths))
    kept_back, indices = indices[:80], indices[80:]
    checks = utterances.batches(kept_back, seconds, rng)
    sample = [utterances.load([i])[1][0] for i in indices[:2000]]
    spread = (
        torch.stack([s.mean(0) for s in sample]).std(0),
        torch.stack([s.std(0) for s in sample]).std(0),
    )

    def of_batch(batch):
        waveforms, wanted = utterances.load(batch)
        states = model(waveforms, output_hidden_states=True).hidden_states
        n = min(states[0].shape[1], wanted.shape[1])
        found = heads([s[:, :n] for s in states[-n_layers:]])
        return distances(found, wanted[:, :n], spread)

    def checked():
        model.eval()
        with torch.no_grad():
            found = np.mean([[float(d) for d in of_batch(batch)] for batch in checks], axis=0)
        model.train()
        return found

    model.train()
    started, last, step, seen = time.monotonic(), 0.0, 0, 0
    total = 60 * minutes
    while True:
        for batch in utterances.batches(indices, seconds, rng):
            gone = (time.monotonic() - started) / total
            if gone >= 1:
                found = checked()
                log(f"{seen / 50 / 3600:.1f} h heard in {step} steps: {found.round(3)}")
                return {
                    "heard_hours": round(seen / 50 / 3600, 1),
                    "n_steps": step,
                    "distances": dict(zip(DISTANCES, found.round(3).tolist(), strict=True)),
                }
            warm = min(1.0, (step + 1) / 60)
            for group in optimizer.param_groups:
                group["lr"] = rate * warm * (0.5 + 0.5 * math.cos(math.pi * gone)) + 1e-6
            loss = sum(w * d for w, d in zip(WEIGHTS, of_batch(batch), strict=True))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            step += 1
            seen += int(sum(utterances.lengths[i] for i in batch))
            if gone - last > 0.2:
                last = gone
                log(f"{gone:4.0%}: {seen / 50 / 3600:.1f} h, step {step}: {checked().round(3)}")
