"""Networks that turn pooled embeddings, or sequences of frames, into scores of emotions.

Frames are given as a padded batch of shape (n_clips, n_frames, n_features) with a mask of shape
(n_clips, n_frames) that is True where a frame belongs to the clip; values elsewhere change
nothing. A frame's features are layers side by side, and then those that are of no layer, if any.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = [
    "HEADS",
    "MLP",
    "AttentionHead",
    "EmoBoxHead",
    "LSTMHead",
    "LayerWeightedHead",
    "PepinoHead",
    "SUPERBHead",
    "WeightedLayers",
]


def masked_mean(frames: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over a clip's valid frames: (n_clips, n_frames, n) to (n_clips, n)."""
    weights = mask.unsqueeze(-1).to(frames.dtype)
    return (frames * weights).sum(dim=1) / weights.sum(dim=1)


class WeightedLayers(nn.Module):
    """A weighted average of layers, with learned softmax weights; other features stay as they are.

    Parameters
    ----------
    n_layers : int
    n_dims : int
        Of each layer.
    n_others : int
        Number of features after the layers.
    """

    def __init__(self, n_layers: int, n_dims: int, n_others: int = 0) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(n_layers))
        self.n_dims, self.n_others = n_dims, n_others

    @property
    def weights(self) -> Tensor:
        """The weights of the layers, which sum to 1."""
        return torch.softmax(self.logits, dim=0)

    @property
    def n_out(self) -> int:
        """Number of features that are left."""
        return self.n_dims + self.n_others

    def forward(self, features: Tensor) -> Tensor:
        """Return (…, n_out) of features of shape (…, n_layers * n_dims + n_others)."""
        n_layered = len(self.logits) * self.n_dims
        layers = features[..., :n_layered].unflatten(-1, (-1, self.n_dims))
        weights = self.weights.expand(*layers.shape[:-2], 1, -1)  # einsum would copy the layers
        average = (weights @ layers).squeeze(-2)
        return torch.cat([average, features[..., n_layered:]], -1) if self.n_others else average


class MLP(nn.Module):
    """Feed-forward network with dropout, on pooled embeddings of shape (n_clips, n_features)."""

    def __init__(
        self, n_features: int, n_classes: int, hidden: tuple[int, ...], dropout: float
    ) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        for width in hidden:
            steps += [nn.Linear(n_features, width), nn.ReLU(), nn.Dropout(dropout)]
            n_features = width
        self.network = nn.Sequential(*steps, nn.Linear(n_features, n_classes))

    def forward(self, X: Tensor) -> Tensor:
        """Return scores of shape (n_clips, n_classes)."""
        return self.network(X)


class LayerWeightedHead(nn.Module):
    """Weighted layers, a projection, dropout and a linear layer, on pooled embeddings."""

    def __init__(
        self, layers: WeightedLayers, n_classes: int, projection: int, dropout: float
    ) -> None:
        super().__init__()
        self.layers = layers
        self.projection = nn.Linear(layers.n_out, projection)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(projection, n_classes)

    def forward(self, X: Tensor) -> Tensor:
        """Return scores of clips of shape (n_clips, n_features)."""
        return self.output(self.dropout(self.projection(self.layers(X))))


class SUPERBHead(nn.Module):
    """Weighted layers, Linear(256), mean over frames, Linear: as SUPERB classifies emotions."""

    def __init__(self, layers: WeightedLayers, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.layers = layers
        self.projection = nn.Linear(layers.n_out, 256)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(256, n_classes)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Return scores of shape (n_clips, n_classes)."""
        projected = self.projection(self.layers(frames))
        return self.output(self.dropout(masked_mean(projected, mask)))


class PepinoHead(nn.Module):
    """Weighted layers, two pointwise convolutions with ReLU and dropout, masked mean, Linear."""

    def __init__(self, layers: WeightedLayers, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.layers = layers
        # A convolution of width 1 over time is the same linear map for every frame.
        self.frames = nn.Sequential(
            nn.Linear(layers.n_out, 128),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(128, 128),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.output = nn.Linear(128, n_classes)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Return scores of shape (n_clips, n_classes)."""
        return self.output(masked_mean(self.frames(self.layers(frames)), mask))


class EmoBoxHead(nn.Module):
    """Layer norm over a clip's frames and dimensions, Linear(128), ReLU, masked mean, Linear."""

    def __init__(self, layers: WeightedLayers, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.layers = layers
        self.projection = nn.Linear(layers.n_out, 128)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(128, n_classes)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Return scores of shape (n_clips, n_classes)."""
        frames = self.layers(frames)
        mean = masked_mean(frames, mask).mean(dim=1)[:, None, None]
        variance = masked_mean((frames - mean) ** 2, mask).mean(dim=1)[:, None, None]
        frames = (frames - mean) / torch.sqrt(variance + 1e-5)
        hidden = torch.relu(self.projection(frames))
        return self.output(self.dropout(masked_mean(hidden, mask)))


class AttentionHead(nn.Module):
    """Weighted layers, then attentive statistics: a mean and a deviation of weighted frames."""

    def __init__(self, layers: WeightedLayers, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.layers = layers
        self.projection = nn.Linear(layers.n_out, 128)
        self.attention = nn.Sequential(nn.Linear(128, 64), nn.Tanh(), nn.Linear(64, 1))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(256, n_classes)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Return scores of shape (n_clips, n_classes)."""
        hidden = torch.relu(self.projection(self.layers(frames)))
        scores = self.attention(hidden).squeeze(-1).masked_fill(~mask, -torch.inf)
        weights = torch.softmax(scores, dim=1).unsqueeze(-1)
        mean = (weights * hidden).sum(dim=1)
        variance = (weights * (hidden - mean.unsqueeze(1)) ** 2).sum(dim=1)
        pooled = torch.cat([mean, torch.sqrt(variance + 1e-8)], dim=1)
        return self.output(self.dropout(pooled))


def reverse_frames(frames: Tensor, mask: Tensor) -> Tensor:
    """Return each clip's frames in reverse order, padding where it was."""
    places = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)
    reverse = mask.sum(dim=1, keepdim=True) - 1 - places
    order = torch.where(mask, reverse, places)
    return frames.gather(1, order[:, :, None].expand(frames.shape))


class LSTMHead(nn.Module):
    """Weighted layers, a bidirectional LSTM between dropouts, masked mean, Linear."""

    def __init__(self, layers: WeightedLayers, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.layers = layers
        # Few units and much dropout: they could overfit a small corpus otherwise.
        self.projection = nn.Linear(layers.n_out, 64)
        self.forward_lstm = nn.LSTM(64, 64, batch_first=True)
        self.backward_lstm = nn.LSTM(64, 64, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(128, n_classes)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Return scores of shape (n_clips, n_classes)."""
        projected = self.dropout(self.projection(self.dropout(self.layers(frames))))
        # Padding comes last for both, so neither output depends on it. Packed sequences do the
        # same, but the time of their gradients grows with the square of the number of frames.
        forward, _ = self.forward_lstm(projected)
        backward, _ = self.backward_lstm(reverse_frames(projected, mask))
        hidden = torch.cat([forward, reverse_frames(backward, mask)], dim=2)
        return self.output(self.dropout(masked_mean(hidden, mask)))


HEADS: dict[str, type[nn.Module]] = {
    "pepino": PepinoHead,
    "emobox": EmoBoxHead,
    "superb": SUPERBHead,
    "attention": AttentionHead,
    "lstm": LSTMHead,
}
