"""A ready model of four emotions, as it is: nothing is trained.

    python benchmarks/system_ready_model.py --corpus emodb --data EMODB --model MODEL

Its author took a model from a hub that had been trained on IEMOCAP, such as
superb/wav2vec2-large-superb-er. What can go wrong is small: the model's labels (neu, hap, ang, sad)
are not the corpus's, and its sampling rate is not the clips'; and clips of emotions that it does
not know can only be wrong.

Here labels and rates are met without a word, and only clips of emotions that the model knows are
asked for. Beside it stands what that model got on IEMOCAP itself, for sessions that it had not been
trained on; of another corpus less is to be expected. Without ``--model`` a tiny checkpoint with the
same four labels is built, whose weights are random: it is at chance, and only shows that all of it
runs.
"""

import tempfile

import _report
import _systems
import numpy as np
from _systems import CLIPS, System
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch

from sklearn_ser.classifiers import PretrainedEmotionClassifier
from sklearn_ser.model_selection import LeaveOneSessionOut


def random_checkpoint(folder):
    """Save a tiny wav2vec 2.0 for four emotions, which has learnt nothing."""
    import torch
    import transformers

    config = transformers.Wav2Vec2Config(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        classifier_proj_size=12,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=15,
        num_conv_pos_embedding_groups=2,
        id2label=dict(enumerate(["neu", "hap", "ang", "sad"])),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def published():
    """Return what the model above got on IEMOCAP."""
    known = LeaveOneSessionOut().published_results("IEMOCAP")
    known = known[known["source"].str.contains("SUPERB") & (known["features"] == "wav2vec2-large")]
    (row,) = known.to_dict("records")
    return f"{row['value']:.3f} {row['metric']} on IEMOCAP (SUPERB's {row['features']})"


def known_to(model, corpus):
    """Return the clips of a corpus whose emotions the model knows."""
    rows = np.flatnonzero(np.isin(corpus.y, model.classes_))
    if not len(rows):
        raise SystemExit(f"the model knows {model.classes_}, of which the corpus has none")
    return Bunch(
        name=corpus.name,
        X=[corpus.X[i] for i in rows],
        y=corpus.y[rows],
        groups=corpus.groups[rows],
        frame=corpus.frame.iloc[rows].reset_index(drop=True),
    )


def run(options, name, model):
    corpus = _systems.corpus_of(options)
    known = known_to(model, corpus)
    system = System(name, lambda seed: make_pipeline(CLIPS, model), published(), random=False)
    found = _systems.compared([system], known, options)
    predicted = model.predict(known.X)
    emotions = np.unique(known.y)
    recalls = recall_score(known.y, predicted, labels=emotions, average=None)
    rows = [
        [emotion, f"{recall:.3f}", f"{np.mean(predicted == emotion):.3f}"]
        for emotion, recall in zip(emotions, recalls, strict=True)
    ]
    unknown = f"{len(corpus.y) - len(known.y)} clips of other emotions were left out.\n"
    each = _report.table(["emotion", "recall", "share of predictions"], rows)
    return [_systems.about(known), unknown, found, each]


def main(arguments=None):
    parser = _systems.parser(__doc__)
    parser.add_argument("--model", metavar="ID", help="a hub id or a folder")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as work:
        name = (
            f"{_systems.named(options.model)}, as it is"
            if options.model
            else "random weights: chance"
        )
        model = options.model or random_checkpoint(work)
        parts = run(options, name, PretrainedEmotionClassifier(model))
    _report.report("A ready model of four emotions", parts, options.out)


if __name__ == "__main__":
    main()
