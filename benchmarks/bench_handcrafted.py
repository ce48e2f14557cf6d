"""eGeMAPS and MFCC: ours against opensmile and librosa as their documentation shows them.

    python benchmarks/bench_handcrafted.py FOLDER [--jobs N]

FOLDER holds wav files. Both sides start from the files and end with a row of features a clip;
nothing is stored. Ours also makes the deltas and three more statistics. The last line is the
coefficients alone, of decoded clips. It also tells how far the values are apart.
"""

import warnings
from pathlib import Path

import _report
import librosa
import numpy as np
import opensmile

from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder
from sklearn_ser.embedders._mfcc import _Analysis

RATE = 16000


def smile_files(paths):
    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02,
        feature_level=opensmile.FeatureLevel.Functionals,
    )
    return smile.process_files(paths).to_numpy()


def librosa_mfcc(paths):
    rows = []
    for path in paths:
        waveform, rate = librosa.load(path, sr=RATE)
        mfcc = librosa.feature.mfcc(y=waveform, sr=rate, n_mfcc=40)
        rows.append(np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1)]))
    return np.stack(rows)


def mfcc_alone(waveforms):
    for waveform in waveforms:
        librosa.feature.mfcc(y=waveform, sr=RATE, n_mfcc=40)


def main():
    parser = _report.parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--clips", type=int, default=100)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    paths = [str(path) for path in sorted(options.folder.rglob("*.wav"))[: options.clips]]
    waveforms = [librosa.load(path, sr=RATE)[0] for path in paths]
    analyse = _Analysis.kept(RATE, 2048, 512, 128)
    pairs = {
        "eGeMAPS, process_files": (smile_files, EGeMAPSEmbedder, paths),
        "MFCC, librosa.load and librosa.feature.mfcc": (librosa_mfcc, MFCCEmbedder, paths),
    }
    rows = []
    for name, (theirs, embedder, clips) in pairs.items():
        variants = {"theirs": lambda theirs=theirs, clips=clips: theirs(clips)}
        for jobs in sorted({1, options.jobs}):
            ours = embedder(cache=None, n_jobs=jobs)
            variants[f"{jobs} jobs"] = lambda ours=ours, clips=clips: ours.fit_transform(clips)
        expected, found = theirs(clips), ours.fit_transform(clips)
        error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
        rows += lines(name, variants, len(clips), f"{error:.0e}", options.repeats)
    variants = {
        "theirs": lambda: mfcc_alone(waveforms),
        "1 jobs": lambda: [analyse(waveform) for waveform in waveforms],
    }
    expected = [librosa.feature.mfcc(y=w, sr=RATE, n_mfcc=40).T for w in waveforms]
    found = [analyse(waveform)[:, :40] for waveform in waveforms]
    error = max(
        np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(found, expected, strict=True)
    )
    name = "MFCC, librosa.feature.mfcc alone"
    rows += lines(name, variants, len(waveforms), f"{error:.0e}", options.repeats)
    header = ["against", "ours", "ms a clip", "theirs", "times faster", "spread", "relative error"]
    text = f"{len(paths)} clips; medians of {options.repeats}, in turn.\n\n"
    _report.report("Handcrafted features", [text + _report.table(header, rows)], options.out)


def lines(name, variants, n_clips, error, repeats):
    """Return a line of the table for each number of jobs."""
    taken = _report.interleaved(variants, repeats)
    theirs = taken.pop("theirs")
    return [
        [
            name,
            jobs.replace("1 jobs", "1 job"),
            f"{1e3 * np.median(ours) / n_clips:.2f}",
            f"{1e3 * np.median(theirs) / n_clips:.2f}",
            f"{_report.median_ratio(theirs, ours):.2f} ×",
            _report.spread(ours),
            error,
        ]
        for jobs, ours in taken.items()
    ]


if __name__ == "__main__":
    main()
