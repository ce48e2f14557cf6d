"""Finding copies: how cost grows with clips, and which copies are found among real speech.

    python benchmarks/bench_duplicates.py [--jobs N]

Clips for the first table are mixes of two out of 200 of synthetic speech, each cut and at a tempo
and pitch that wander, 2.5 s at 16 kHz as int16; 100 of them are planted a second time, softer and
without the first 0.2037 s. Where chance gives two clips the same part of the same speech at nearly
the same tempo, they may be a pair; only pairs with no speech in common are surely false. An
exponent of 1 is linear growth. The second table needs EmoDB in ../shared: each of its clips is
planted a second time, with one change for all. A clip that is mixed with another one is a copy of
both; only pairs with its own are counted, and pairs with the other are no false ones. Copies of
AudioAugmenter are kept in memory, so that they do not say what they are of.
"""

import io
import time
import warnings
from functools import partial
from pathlib import Path

import _report
import numpy as np
import soundfile
from audiomentations import PitchShift, TimeStretch
from scipy.signal import resample_poly

from sklearn_ser.audit import _duplicates, find_duplicates
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.preprocessing import AudioAugmenter
from sklearn_ser.preprocessing._changes import SETTINGS, _room

RATE, SECONDS, CUT = 16000, 2.5, 0.2037
N_CLIPS = (1000, 5000, 20_000)
N_PLANTED = 100
EMODB = Path(__file__).resolve().parents[2] / "shared" / "corpora" / "emodb"


def mixes(n_clips):
    rng = np.random.default_rng(0)
    voices = [x for x, _ in make_emotional_speech(10, 5, rate=RATE, random_state=0).X]
    chosen = [rng.choice(len(voices), 2, replace=False) for _ in range(n_clips)]
    return [(mix([voices[i] for i in two], rng), RATE) for two in chosen], chosen


def mix(voices, rng):
    n_samples = round(SECONDS * RATE)
    mixed = np.zeros(n_samples, np.float32)
    for voice in voices:
        tempo = np.interp(np.linspace(0, 7, n_samples), np.arange(8), rng.uniform(0.7, 1.4, 8))
        at = rng.uniform(0, len(voice)) + np.cumsum(tempo)
        mixed += np.interp(at % len(voice), np.arange(len(voice)), voice)
    return (mixed * (16384 / np.abs(mixed).max())).astype(np.int16)


def by_clips(jobs):
    clips, chosen = mixes(max(N_CLIPS))
    rows, costs, matching = [], [], []
    match, spent = _duplicates.match_fingerprints, []

    def timed_match(fingerprints):
        found = []
        spent.append(_report.seconds(lambda: found.append(match(fingerprints))))
        return found[0]

    _duplicates.match_fingerprints = timed_match
    find_duplicates(clips[:20], n_jobs=jobs, cache=None)
    for n_clips in N_CLIPS:
        n_own = n_clips - N_PLANTED
        X = [*clips[:n_own], *((x[round(CUT * RATE) :] // 2, RATE) for x, _ in clips[:N_PLANTED])]
        started = time.perf_counter()
        pairs = find_duplicates(X, n_jobs=jobs, cache=None)
        costs.append(time.perf_counter() - started)
        matching.append(spent[-1])
        found, others = found_and_false(pairs, n_own)
        speech = [set(two) for two in [*chosen[:n_own], *chosen[:N_PLANTED]]]
        links = zip(pairs["clip"], pairs["other"], strict=True)
        false = sum(speech[clip].isdisjoint(speech[other]) for clip, other in links)
        rows.append(
            [
                f"{n_clips:,}",
                f"{costs[-1]:.1f}",
                f"{1e3 * costs[-1] / n_clips:.2f}",
                f"{1e3 * matching[-1] / n_clips:.2f}",
                f"{found} of {N_PLANTED}",
                others,
                false,
            ]
        )
    header = ["clips", "seconds", "ms a clip", "of that matching", "copies found", "other pairs"]
    header.append("with no speech in common")
    growth = (
        f"Exponent {exponent(costs):.3f}; of matching alone {exponent(matching):.3f}. "
        f"{jobs} job(s).\n"
    )
    return "## Clips\n\n" + _report.table(header, rows) + "\n" + growth


def exponent(costs):
    """Return the slope of a line through the logarithms."""
    return np.polyfit(np.log(N_CLIPS), np.log(costs), 1)[0]


def found_and_false(pairs, step):
    """Return how many pairs are a clip and its copy `step` later, and how many are not."""
    right = (pairs["other"] - pairs["clip"] == step).sum()
    return right, len(pairs) - right


def coded(samples, rate, **how):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **how)
    return {"bytes": file.getvalue()}


def wav(samples, rate):
    return coded(samples, rate, format="WAV", subtype="PCM_16")


def resampled(samples, rate, wanted):
    common = np.gcd(rate, wanted)
    return resample_poly(samples, wanted // common, rate // common), wanted


def mp3(samples, rate, **how):
    return coded(samples, rate, format="MP3", **how)


def gain(samples, decibels):
    return np.clip(samples * 10 ** (decibels / 20), -1, 1 - 2**-15)


def changes(cut):
    return {
        "another container (flac)": lambda x, r: coded(x, r, format="FLAC", subtype="PCM_16"),
        "8 kHz": lambda x, r: wav(*resampled(x, r, 8000)),
        "44.1 kHz": lambda x, r: wav(*resampled(x, r, 44100)),
        "48 kHz": lambda x, r: wav(*resampled(x, r, 48000)),
        "mp3": mp3,
        "mp3 at its lowest rate, 8 kbit/s": lambda x, r: mp3(
            x, r, compression_level=0.99, bitrate_mode="CONSTANT"
        ),
        "first 0.2 s cut": lambda x, r: wav(x[cut(r) :], r),
        "last 0.2 s cut": lambda x, r: wav(x[: -cut(r)], r),
        "both cut": lambda x, r: wav(x[cut(r) : -cut(r)], r),
        "6 dB softer": lambda x, r: wav(gain(x, -6), r),
        "6 dB louder, clipped": lambda x, r: wav(gain(x, 6), r),
        "both cut, 6 dB softer, 8 kHz, mp3": lambda x, r: mp3(
            *resampled(gain(x[cut(r) : -cut(r)], -6), r, 8000)
        ),
        **{
            f"speed {100 * (s - 1):+.0f} %": partial(speed, factor=s)
            for s in (0.9, 0.95, 1.05, 1.1)
        },
        **{f"stretched {100 * (s - 1):+.0f} %": partial(stretched, by=s) for s in (0.95, 1.05)},
        **{f"pitch {n:+d} semitones": partial(pitched, by=n) for n in (-2, -1, 1, 2)},
        **{f"in a room, direct sound {n} dB above": partial(in_room, by=n) for n in (0, 5, 10)},
        **{f"AudioAugmenter, {name}": partial(augmented, change=name) for name in SETTINGS},
    }


def speed(samples, rate, factor):
    return resample_poly(samples, 1000, round(1000 * factor)), rate


def augmented(samples, rate, change):
    augmenter = AudioAugmenter(change, cache=None)
    return augmenter.fit_resample([(samples, rate)], ["any"])[0][-1]


def stretched(samples, rate, by):
    stretch = TimeStretch(min_rate=by, max_rate=by, leave_length_unchanged=False, p=1.0)
    return augmented(samples, rate, stretch)


def pitched(samples, rate, by):
    return augmented(samples, rate, PitchShift(min_semitones=by, max_semitones=by, p=1.0))


def in_room(samples, rate, by):
    def change(samples, rate):
        return _room(samples, rate, min_rt60=0.5, max_rt60=0.5, min_drr_db=by, max_drr_db=by)

    return augmented(samples, rate, change)


def mixed(clips, decibels):
    """Return the clips, each with the one 11 later `decibels` softer, repeated to its length."""
    for i, (samples, rate) in enumerate(clips):
        other = np.resize(clips[(i + 11) % len(clips)][0], len(samples))
        scale = np.linalg.norm(samples) / np.linalg.norm(other) * 10 ** (-decibels / 20)
        yield samples + scale * other, rate


def by_change(jobs):
    paths = [str(path) for path in sorted(EMODB.rglob("*.wav"))]
    clips = [soundfile.read(path, dtype="float32") for path in paths]
    n, rows = len(clips), []
    alone = find_duplicates(paths, n_jobs=jobs)
    taken = min(
        _report.seconds(lambda: find_duplicates(paths, n_jobs=jobs, cache=None)) for _ in range(3)
    )
    planted = {
        name: [change(*clip) for clip in clips]
        for name, change in changes(lambda rate: round(CUT * rate)).items()
    }
    planted |= {f"mixed with another, {n} dB softer": [*mixed(clips, n)] for n in (0, 6, 12)}
    for name, copies in planted.items():
        pairs = find_duplicates([*paths, *copies], n_jobs=jobs)
        found, false = found_and_false(pairs, n)
        if name.startswith("mixed"):
            # The clip 11 later is in it too, and so is each clip in two of the copies.
            step = (pairs["other"] - pairs["clip"]) % n
            false -= step.isin([11, n - 11]).sum()
            pairs = pairs[step == 0]
        worst = pairs["error_rate"].max()
        rows.append([name, f"{found} of {n}", f"{found / n:.1%}", false, f"{worst:.3f}"])
    header = ["copies", "found", "recall", "other pairs", "highest error rate of a pair"]
    text = f"{n} clips alone: {len(alone)} pairs, {taken:.2f} s with {jobs} job(s).\n\n"
    return "## Changes, EmoDB\n\n" + text + _report.table(header, rows)


def main():
    parser = _report.parser(__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    parts = [by_clips(options.jobs)]
    if EMODB.is_dir():
        parts.append(by_change(options.jobs))
    _report.report("Finding copies", parts, options.out)


if __name__ == "__main__":
    main()
