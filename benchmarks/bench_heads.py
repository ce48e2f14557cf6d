"""Networks on a speech model's layers, for unseen speakers, over several seeds.

    python benchmarks/bench_heads.py --corpus emodb --data EMODB --model WHISPER_BASE
        [--heads layer-weighted lstm …] [--seeds 3] [--out FILE] [--figures FOLDER]

One speaker is left out at a time; networks hold out one more to tell when to stop. "lda" chooses
its layer inside the training folds, over folds of speakers that a seed draws: nothing is known of
the test speaker. With --figures: how much each layer counts, and the LSTM's curves by epoch, of the
clips trained on, of the speaker held out, and of the speaker tested, who decides nothing.
"""

import time
from pathlib import Path

import _report
import numpy as np
import pandas as pd
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import _safe_indexing
from skorch.callbacks import Callback
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from sklearn_ser import SSLEmbedder
from sklearn_ser.classifiers import LayerWeightedClassifier, MLPHead, SequenceClassifier
from sklearn_ser.cli._corpora import add_corpus, load_corpus
from sklearn_ser.evaluation import speaker_interval, uar_score
from sklearn_ser.model_selection import LeaveOneSpeakerOut
from sklearn_ser.plotting import HistoryDisplay, LayerWeightsDisplay

SEQUENCE = ("pepino", "emobox", "superb", "attention", "lstm")
HEADS = ("lda", "mlp", "layer-weighted", *SEQUENCE)


class TestCurve(Callback):
    """Remember the loss and the UAR of clips that training knows nothing of, epoch by epoch."""

    def __init__(self, dataset, codes):
        self.dataset, self.codes, self.curve = dataset, codes, []

    def on_epoch_end(self, net, **kwargs):
        """Score the clips with the weights as they are."""
        import torch

        scores = net.forward(self.dataset).cpu()
        loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(self.codes))
        self.curve.append((float(loss), uar_score(self.codes, scores.argmax(dim=1).numpy())))


class WatchedSequenceClassifier(SequenceClassifier):
    """A sequence classifier that writes down how the test speaker fares; only for the figure."""

    watched = None

    def _extra_fit_arguments(self, clips, codes, rows, seed):
        X, y = self.watched
        found = np.searchsorted(self.classes_, y)
        self.seen_ = TestCurve(self._dataset(X, np.arange(len(X)), found), found)
        return {"callbacks": lambda: [("test", self.seen_)]}


def parser():
    found = _report.parser(__doc__)
    add_corpus(found)
    found.add_argument("--model", default="nano", metavar="ID")
    found.add_argument("--heads", nargs="+", choices=HEADS, default=list(HEADS))
    found.add_argument("--seeds", type=int, default=3)
    found.add_argument("--epochs", type=int, default=60, help="most epochs")
    found.add_argument("--figures", type=Path, metavar="FOLDER")
    return found


def estimator(head, embedder, epochs):
    """Return an estimator, and whether it takes clips, all layers' means, or all layers' frames."""
    n_layers = embedder.n_layers + 1
    if head == "lda":
        pipeline = make_pipeline(
            SSLEmbedder(embedder.model),
            StandardScaler(),
            LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        )
        grid = {"sslembedder__layer": list(range(n_layers))}
        return GridSearchCV(pipeline, grid, scoring=make_scorer(uar_score)), "clips"
    if head == "mlp":
        return MLPHead(max_epochs=epochs), "middle"
    if head == "layer-weighted":
        return LayerWeightedClassifier(n_layers, max_epochs=epochs), "layers"
    kind = WatchedSequenceClassifier if head == "lstm" else SequenceClassifier
    return kind(head, n_layers=n_layers, max_epochs=epochs), "frames"


def fit(model, X, y, groups, train, test, seed):
    """Return the estimator, fitted on the training speakers."""
    from sklearn.base import clone

    model = clone(model)
    X_train = _safe_indexing(X, train)
    if isinstance(model, GridSearchCV):
        model.set_params(cv=GroupKFold(5, shuffle=True, random_state=seed))
    else:
        model.set_params(random_state=seed)
    if isinstance(model, WatchedSequenceClassifier):
        model.watched = _safe_indexing(X, test), y[test]
    if isinstance(model, MLPHead):
        scaler = StandardScaler().fit(X_train)
        X_train, X = scaler.transform(X_train), scaler.transform(X)
    model.fit(X_train, y[train], groups=groups[train])
    return model, model.predict(_safe_indexing(X, test))


def run(head, inputs, corpus, embedder, options):
    """Return a row of the table, and the fitted estimators."""
    model, kind = estimator(head, embedder, options.epochs)
    y, groups, X = np.asarray(corpus.y), np.asarray(corpus.groups), inputs(kind)
    folds = list(LeaveOneSpeakerOut().split(y, y, groups))
    started, fitted, parts = time.perf_counter(), [], []
    with tqdm(total=options.seeds * len(folds), desc=head) as progress:
        for seed in range(options.seeds):
            for k, (train, test) in enumerate(folds):
                one, predicted = fit(model, X, y, groups, train, test, seed)
                fitted.append(one)
                parts.append(
                    pd.DataFrame({"seed": seed, "fold": k, "clip": test, "predicted": predicted})
                )
                progress.update()
    seconds = time.perf_counter() - started
    found = pd.concat(parts)
    uars = [
        np.mean([uar_score(y[f["clip"]], f["predicted"]) for _, f in of_seed.groupby("fold")])
        for _, of_seed in found.groupby("seed")
    ]
    first = found[found["seed"] == 0]
    low, high = speaker_interval(
        y[first["clip"]],
        first["predicted"].to_numpy(),
        groups[first["clip"]],
        first["fold"].to_numpy(),
    )
    row = [
        head,
        f"{np.mean(uars):.3f}",
        f"{np.std(uars):.3f}",
        " ".join(f"{uar:.3f}" for uar in uars),
        f"{low:.3f}–{high:.3f}",
        chosen(fitted),
        f"{seconds / len(parts):.1f}",
    ]
    return row, fitted


def chosen(fitted):
    """Return what was learnt of layers, in a few words."""
    if hasattr(fitted[0], "best_params_"):
        layers = [each.best_params_["sslembedder__layer"] for each in fitted]
        names, counts = np.unique(layers, return_counts=True)
        return ", ".join(f"layer {n} {c} ×" for n, c in zip(names, counts, strict=True))
    if hasattr(fitted[0], "layer_weights_"):
        weights = np.mean([each.layer_weights_ for each in fitted], axis=0)
        return " ".join(f"{weight:.3f}" for weight in weights)
    return "middle layer"


def draw(head, fitted, folder):
    folder.mkdir(parents=True, exist_ok=True)
    if hasattr(fitted[0], "layer_weights_"):
        display = LayerWeightsDisplay.from_estimators(*fitted)
        display.figure_.savefig(folder / f"layers_{head}.png", dpi=120)
    if head != "lstm":
        return
    n_epochs = min(len(each.history_["epoch"]) for each in fitted)  # that all folds have
    names = ("train_loss", "valid_loss", "valid_uar")
    history = {n: np.mean([e.history_[n][:n_epochs] for e in fitted], axis=0) for n in names}
    test = np.mean([each.seen_.curve[:n_epochs] for each in fitted], axis=0)
    history |= {
        "epoch": np.arange(1, n_epochs + 1),
        "test_loss": test[:, 0],
        "test_uar": test[:, 1],
    }
    HistoryDisplay(history).plot().figure_.savefig(folder / "curves_lstm.png", dpi=120)


def main():
    options = parser().parse_args()
    corpus = load_corpus(options)
    embedder = SSLEmbedder(options.model, layer="all", verbose=True)

    def inputs(kind):
        if kind == "clips":
            return corpus.X
        how = {"middle": {"layer": "middle"}, "layers": {}, "frames": {"pooling": None}}[kind]
        return SSLEmbedder(**{**embedder.get_params(), **how}).fit_transform(corpus.X)

    header = ["head", "UAR", "± over seeds", "each seed", "95 % (first seed)", "layers", "s a fold"]
    about = (
        f"{corpus.name}: {len(corpus.y)} clips, leave one speaker out, {options.seeds} seeds, "
        f"at most {options.epochs} epochs. UAR: mean over folds and seeds; 95 %: interval that "
        "resamples speakers. Layers: mean weights.\n"
    )
    rows = []
    for head in options.heads:
        with threadpool_limits(1 if head not in SEQUENCE else None):
            row, fitted = run(head, inputs, corpus, embedder, options)
        rows.append(row)
        # After each head: it takes long enough to be stopped.
        _report.report("Networks on layers", [about, _report.table(header, rows)], options.out)
        if options.figures:
            draw(head, fitted, options.figures)


if __name__ == "__main__":
    main()
