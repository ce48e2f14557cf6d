"""Whether intervals of the UAR cover, and paired tests hold their level: simulated speakers.

    python benchmarks/bench_intervals.py [--repeats N] [--out FILE]

Each speaker has a recognition rate from a beta distribution; clips are right at their speaker's
rate. The truth is the mean of that distribution. "New" is `speaker_interval`; "BCa" resamples
speakers, as was done before; "clips" resamples clips, as if those of a speaker were independent.
"""

import numpy as np
from _report import parser, report, table
from scipy import stats

from sklearn_ser.evaluation import speaker_interval
from sklearn_ser.evaluation._differences import compare_rows
from sklearn_ser.evaluation._jackknife import Counts

LEVEL = 0.95
N_EMOTIONS = 4
N_RESAMPLES = 1000
SPEAKERS = (4, 5, 8, 10, 24, 91)


def even(n, rng):
    return np.full((n, N_EMOTIONS), 10)


def uneven(n, rng):
    return rng.integers(1, 21, (n, N_EMOTIONS))


def one_dominates(n, rng):
    clips = rng.integers(1, 11, (n, N_EMOTIONS))
    clips[0] *= 10
    return clips


def one_emotion_each(n, rng):
    clips = np.zeros((n, N_EMOTIONS), int)
    clips[np.arange(n), np.arange(n) % N_EMOTIONS] = 10
    return clips


def one_emotion_each_one_dominates(n, rng):
    """As in URDU: one speaker has most of the clips of an emotion."""
    clips = one_emotion_each(n, rng)
    clips[[0, 1], [0, 1]] = 60
    return clips


def one_has_an_emotion_alone(n, rng):
    clips = even(n, rng)
    clips[1:, -1] = 0
    return clips


def left_out(n):
    return np.arange(n)


def five_folds(n):
    return np.arange(n) % 5


def two_folds(n):
    return np.arange(n) % 2


def pooled(n):
    return np.zeros(n, int)


# Clips, folds, numbers of speakers.
DESIGNS = {
    "leave one speaker out": (even, left_out, SPEAKERS),
    "leave one out, 1 to 20 clips an emotion": (uneven, left_out, SPEAKERS),
    "leave one out, one speaker has 10 times the clips": (one_dominates, left_out, SPEAKERS),
    "two folds of speakers": (even, two_folds, (4, 5)),
    "two folds, 1 to 20 clips an emotion": (uneven, two_folds, (4, 5)),
    "five folds of speakers": (even, five_folds, (8, 10, 24, 91)),
    "five folds, 1 to 20 clips an emotion": (uneven, five_folds, (8, 10, 24, 91)),
    "pooled, 1 to 20 clips an emotion": (uneven, pooled, SPEAKERS),
    "pooled, one speaker has 10 times the clips": (one_dominates, pooled, (8, 10, 24, 91)),
    "pooled, one emotion a speaker": (one_emotion_each, pooled, (8, 10, 24, 91)),
    "pooled, one emotion a speaker, two have most": (
        one_emotion_each_one_dominates, pooled, (10, 24, 91),
    ),
    "pooled, an emotion is one speaker's": (one_has_an_emotion_alone, pooled, (5, 10, 24, 91)),
}  # fmt: skip


def simulate(clips, rates, rng):
    """Return emotions, what is predicted and speakers of each clip."""
    speaker, emotion = (
        np.repeat(codes.ravel(), clips.ravel()) for codes in np.indices(clips.shape)
    )
    right = rng.random(len(speaker)) < rates[speaker]
    return emotion, np.where(right, emotion, -1), speaker


def by_bootstrap(emotion, predicted, speaker, fold, method, rng):
    """Return the interval of resampled speakers: of the mean of folds' UARs, or of pooled recalls.

    Folds count as often as their speakers are drawn; an emotion that is not drawn keeps its recall.
    """
    counts = Counts(emotion, speaker, fold)
    total, hits = counts.total, counts.hits(emotion == predicted)
    present = total.sum(axis=2) > 0
    share, there = present / present.sum(axis=0), total.sum(axis=0) > 0
    of_all = hits.sum(axis=0) / np.maximum(total.sum(axis=0), 1)

    def statistic(drawn, axis=-1):
        drawn = np.moveaxis(np.atleast_1d(drawn), axis, -1).astype(int)
        times = (drawn[..., np.newaxis] == np.arange(len(total))).sum(axis=-2)
        n, k = np.tensordot(times, total, axes=1), np.tensordot(times, hits, axes=1)
        recalls = np.where(n > 0, k / np.maximum(n, 1), of_all)
        weights = times @ share
        uars = recalls.sum(axis=-1) / there.sum(axis=-1)
        return (uars * weights).sum(axis=-1) / weights.sum(axis=-1)

    names = (np.arange(len(total)),)
    given = {"confidence_level": LEVEL, "n_resamples": N_RESAMPLES, "batch": 200, "rng": rng}
    with np.errstate(all="ignore"):
        found = stats.bootstrap(names, statistic, method=method, **given).confidence_interval
        if not np.isfinite(found).all():
            found = stats.bootstrap(names, statistic, method="percentile", **given)
            found = found.confidence_interval
    return found


def by_clips(emotion, predicted, speaker, fold, rng):
    """Return percentiles of resampled clips, of each speaker and emotion as many as there are."""
    counts = Counts(emotion, speaker, fold)
    there = counts.total > 0  # few: most speakers are in one fold
    total, hits = counts.total[there], counts.hits(emotion == predicted)[there]
    drawn = rng.binomial(total.astype(int), hits / total, (N_RESAMPLES, len(total)))
    uars = drawn @ np.broadcast_to(counts.clip_weights, there.shape)[there]
    return np.percentile(uars, [100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2])


def coverage(found, truth):
    low, high = np.array(found).T
    return f"{np.mean((low <= truth) & (truth <= high)):.1%}", f"{np.mean(high - low):.3f}"


def cell(clips_of, folds_of, n, repeats, others, mean=0.7, concentration=6):
    rng = np.random.default_rng(0)
    found = {"new": [], "bca": [], "clips": []}
    for repeat in range(repeats):
        rates = rng.beta(mean * concentration, (1 - mean) * concentration, n)
        emotion, predicted, speaker = simulate(clips_of(n, rng), rates, rng)
        fold = folds_of(n)[speaker]
        found["new"].append(speaker_interval(emotion, predicted, speaker, fold))
        if repeat < others:
            found["bca"].append(by_bootstrap(emotion, predicted, speaker, fold, "BCa", rng))
            found["clips"].append(by_clips(emotion, predicted, speaker, fold, rng))
    columns = [x for name in found if found[name] for x in coverage(found[name], mean)]
    return [n, *columns, *["–"] * (6 - len(columns))]


HEADER = ["speakers", "new: covers", "width", "BCa: covers", "width", "clips: covers", "width"]


def intervals(repeats, others):
    yield f"## Intervals, {LEVEL:.0%}\n\nMean rate .7, concentration 6; {repeats:,} runs, of which "
    yield f"{others:,} with bootstraps. Folds are averaged unless pooled.\n"
    rows = [
        [name, *cell(clips, folds, n, repeats, others)]
        for name, (clips, folds, sizes) in DESIGNS.items()
        for n in sizes
    ]
    yield table(["design", *HEADER], rows)
    yield "## Near 1\n\nLeave one speaker out. With concentration 6, nearly all speakers are"
    yield "perfect and few are bad, of whom small samples show none; with 60, speakers are alike.\n"
    rows = [
        [mean, concentration, *cell(even, left_out, n, repeats, 0, mean, concentration)[:3]]
        for mean in (0.9, 0.97, 0.99)
        for concentration in (6, 60)
        for n in (4, 10, 24)
    ]
    yield table(["mean", "concentration", *HEADER[:3]], rows)


def rejections(n, n_rows, effect, repeats, reference):
    """Return how often any row is told from the reference, whose rate is higher by `effect`."""
    rng = np.random.default_rng(0)
    told = np.zeros(2)
    clips = even(n, rng)
    emotion, _, speaker = simulate(clips, np.ones(n), rng)
    counts = Counts(emotion, speaker, speaker)
    for _ in range(repeats):
        rates = np.clip(rng.beta(4.2, 1.8, n) + rng.normal(0, 0.08, (n_rows, n)), 0, 1 - effect)
        rates[0] += effect
        hits = [counts.hits(rng.random(len(speaker)) < rate[speaker]) for rate in rates]
        best = int(np.argmax([each.sum() for each in hits])) if reference is None else reference
        found = compare_rows(counts, hits, best, chosen=reference is None)
        told += [found["p_value"].min() < 0.05, found["p_holm"].min() < 0.05]
    return [f"{share:.1%}" for share in told / repeats]


def learned(n, n_folds, repeats, spread):
    """Return how often two feature sets of equal worth are told apart, classifiers being fitted.

    Speakers shift all features, and those of each emotion; linear discriminant analysis.
    """
    rng = np.random.default_rng(0)
    emotions = np.random.default_rng(5).normal(0, spread, (N_EMOTIONS, 6))
    fold = np.arange(n) % n_folds
    names = np.repeat(np.arange(n), N_EMOTIONS * 10)
    truth = np.tile(np.repeat(np.arange(N_EMOTIONS), 10), n)
    counts = Counts(truth, names, fold[names])
    told, corrected, uars = 0, 0, []
    for _ in range(repeats):
        hits = []
        for _ in range(2):
            X = emotions[:, None] + rng.normal(0, 0.7, (n, 1, 1, 6))
            X = X + rng.normal(0, 0.4, (n, N_EMOTIONS, 1, 6))
            X = X + rng.normal(0, 1, (n, N_EMOTIONS, 10, 6))
            right = np.zeros(X.shape[:3], bool)
            for k in range(n_folds):
                train, test = X[fold != k], X[fold == k]
                means = train.mean(axis=(0, 2))
                rest = (train - means[:, None]).reshape(-1, 6)
                inverse = np.linalg.inv(np.cov(rest.T) + 0.01 * np.eye(6))
                scores = test @ inverse @ means.T
                scores = scores - np.einsum("ed,df,ef->e", means, inverse, means) / 2
                right[fold == k] = scores.argmax(axis=-1) == np.arange(N_EMOTIONS)[:, None]
            hits.append(counts.hits(right.ravel()))
            uars.append(right.mean())
        told += compare_rows(counts, hits, 0)["p_value"].iloc[1] < 0.05
        found = compare_rows(counts, hits, 0, n_folds=n_folds)
        corrected += found["p_value"].iloc[1] < 0.05
    return [
        n,
        n_folds,
        f"{np.mean(uars):.2f}",
        f"{told / repeats:.1%}",
        f"{corrected / repeats:.1%}",
    ]


def differences(repeats):
    yield f"## Differences, paired by speaker\n\n{repeats:,} runs; how often p < .05.\n"
    rows = [
        [n, *(rejections(n, 2, effect, repeats, 0)[0] for effect in (0, 0.05, 0.1, 0.2))]
        for n in (4, 5, 6, 8, 10, 24)
    ]
    yield table(["speakers", "no difference", "of .05", "of .1", "of .2"], rows)
    yield "Any of several rows that are all alike is told from the reference, Holm's p:\n"
    rows = [
        [n, n_rows, *(rejections(n, n_rows, 0, repeats, of)[1] for of in (0, None))]
        for n in (4, 10, 24)
        for n_rows in (3, 6, 13)
    ]
    yield table(["speakers", "rows", "a given reference", "the best row"], rows)
    yield "Two feature sets of equal worth, a classifier fitted on each training fold, whose"
    yield "choice is not part of the standard error; and with Nadeau and Bengio's correction:\n"
    header = ["speakers", "folds", "UAR", "told apart", "corrected"]
    rows = [
        learned(n, n_folds, max(repeats // 2, 1), spread)
        for spread in (0.6, 1.0)
        for n, n_folds in ((4, 4), (6, 6), (10, 10), (10, 5), (24, 24), (25, 5))
    ]
    yield table(header, rows)


def main():
    options = parser(__doc__)
    options.set_defaults(repeats=2000)
    options = options.parse_args()
    parts = [*intervals(options.repeats, options.repeats // 2), *differences(options.repeats)]
    report("Intervals and comparisons", parts, options.out)


if __name__ == "__main__":
    main()
