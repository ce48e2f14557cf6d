"""Make the bundled model "nano": gather speech, ask the teacher, train the student, export it.

    python benchmarks/nano/make.py OUT --teacher WHISPER_BASE [--emodb FOLDER]

OUT keeps what each step made, so that a run that was stopped goes on there. The model ends up in
OUT/nano. With --emodb it is evaluated as well. Needs Debian's or Ubuntu's apt-get, espeak-ng and
flite, and what requirements.txt names.
"""

import argparse
import functools
import json
import os
import random
import time
from pathlib import Path

import numpy as np
from card import write_card
from evaluate import evaluate
from joblib import Parallel, delayed
from recordings import RATE, recordings
from student import Utterances, build, hear_pitches, train
from synthesis import voices
from teacher import targets
from variation import colours, utterances, varied

SHORTEST = 0.4  # seconds of an utterance


def gather(out, hours, n_sentences, seed):
    """Write so many hours of utterances, each in a manner of its own, int16 at 16 kHz."""
    rng = np.random.default_rng(seed)
    recorded = [w for _, w in utterances(recordings(out / "packages"), rng)]
    synthetic = [w for _, w in utterances(voices(out / "packages", n_sentences, seed), rng)]
    for kind, waveforms in (("recorded", recorded), ("synthetic", synthetic)):
        print(f"{kind}: {sum(map(len, waveforms)) / RATE / 3600:.2f} h")
    heard, wanted = recorded + synthetic, hours * 3600 * RATE
    chosen, n_samples = [], 0
    while n_samples < wanted:  # each once, then again in other manners
        for i in rng.permutation(len(heard)):
            if n_samples < wanted:
                chosen.append(i)
                n_samples += len(heard[i])
    tasks = [(heard[i], seed + n) for n, i in enumerate(chosen)]
    parts = [tasks[start : start + 200] for start in range(0, len(tasks), 200)]
    found = Parallel(os.cpu_count(), verbose=5)(delayed(vary)(part) for part in parts)
    made = [waveform for part in found for waveform in part if len(waveform) > SHORTEST * RATE]
    np.save(out / "lengths.npy", [len(waveform) for waveform in made])
    np.save(out / "waveforms.npy", np.concatenate(made))
    n_synthetic = sum(len(heard[i]) for i in chosen if i >= len(recorded))
    return {
        "hours": round(sum(map(len, made)) / RATE / 3600, 1),
        "synthetic": round(n_synthetic / RATE / 3600, 1),
        "n_utterances": len(made),
    }


def vary(tasks):
    """Return utterances, each in the manner that its seed leads to, int16."""
    colour = colours()
    made = []
    for waveform, seed in tasks:
        random.seed(seed)  # audiomentations draws from it, and from the next
        np.random.seed(seed)  # noqa: NPY002
        changed = varied(waveform, np.random.default_rng(seed), colour)
        made.append((changed * 32767).astype(np.int16))
    return made


def load(out):
    """Return the utterances' waveforms, int16."""
    waveforms, lengths = np.load(out / "waveforms.npy", "r"), np.load(out / "lengths.npy")
    return np.split(waveforms, np.cumsum(lengths)[:-1])


def once(path, make, what):
    """Run a step unless it has been finished before; return what it told, and how long it took."""
    if not path.exists():
        started = time.monotonic()
        told = make() or {}
        taken = {f"{path.stem}_minutes": round((time.monotonic() - started) / 60, 1)}
        path.write_text(json.dumps({**told, **taken}, indent=1))
        print(f"{what}: {path.read_text()}", flush=True)
    return json.loads(path.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--teacher", default="openai/whisper-base", help="folder or hub id")
    parser.add_argument("--emodb", help="folder to evaluate on")
    parser.add_argument("--minutes", type=float, default=25, help="of training; default: 25")
    parser.add_argument("--hours", type=float, default=6, help="of speech; default: 6")
    parser.add_argument("--sentences", type=int, default=1200, help="synthetic; default: 1200")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    seed = options.seed
    facts = once(
        out / "gathered.json",
        functools.partial(gather, out, options.hours, options.sentences, seed),
        "gathering and varying speech",
    )
    waveforms = load(out)

    def ask():
        floats = [waveform.astype(np.float32) / 32768 for waveform in waveforms]
        _, lengths = targets(options.teacher, floats, out)
        np.save(out / "frame_lengths.npy", lengths)

    facts |= once(out / "asked.json", ask, "the teacher")

    def learn():
        frames = np.load(out / "frames.npy", "r")
        model = build(seed)
        hear_pitches(model)
        utterances = Utterances(waveforms, frames, np.load(out / "frame_lengths.npy"))
        found = train(model, utterances, minutes=options.minutes, seed=seed)
        export(model, out / "nano")
        return found

    facts |= once(out / "learnt.json", learn, "training")
    if options.emodb:
        measured = evaluate(out / "nano", options.emodb, options.teacher)
        write_card(out / "nano", facts, measured)
        print(measured)


def export(model, folder):
    """Write a student as transformers reads it, in half precision."""
    from transformers import Wav2Vec2FeatureExtractor

    model.eval().half().save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(folder)


if __name__ == "__main__":
    main()
