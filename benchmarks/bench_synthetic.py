"""How much faster than real time synthetic speech is made, on one core.

    python benchmarks/bench_synthetic.py [--repeats N]

Prints medians over repeats as a Markdown table.
"""

import argparse
import os
import statistics
import time

# Before numpy is imported, which reads it once.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

from sklearn_ser.datasets import make_emotional_speech  # noqa: E402

SIZES = [
    {"n_speakers": 2, "n_sentences": 2},
    {"n_speakers": 8, "n_sentences": 5},
    {"n_speakers": 16, "n_sentences": 10},
    {"n_speakers": 8, "n_sentences": 5, "rate": 44100},
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    make_emotional_speech(1, 1, random_state=0)
    print("| clips | rate (Hz) | audio (s) | taken (s) | × real time |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for size in SIZES:
        taken = []
        for _ in range(options.repeats):
            started = time.perf_counter()
            corpus = make_emotional_speech(**size, random_state=0)
            taken.append(time.perf_counter() - started)
        rate = corpus.X[0][1]
        audio = sum(len(waveform) for waveform, _ in corpus.X) / rate
        median = statistics.median(taken)
        print(f"| {len(corpus.X)} | {rate} | {audio:.0f} | {median:.2f} | {audio / median:.0f} |")


if __name__ == "__main__":
    main()
