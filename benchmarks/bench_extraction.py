"""Cold extraction: ours against a plain transformers loop and against padded batches.

    python benchmarks/bench_extraction.py [--models wav2vec2-base wavlm-base …] [--whisper FOLDER]

Models have random weights, as speed does not depend on them. Clips are as long as EmoDB's. Every
variant makes the mean over frames of every layer; ours makes all its statistics. Each runs in turn
with the plain loop, and the ratio is the median over rounds. The share of the peak is the plain
loop's arithmetic (counted by torch; ours does a little less of it) over what a large product of
matrices, shared by all cores, reaches in the same round: over a second or two, and in the one call
that was fastest.
"""

import argparse
import functools
import json
import statistics
import subprocess
import sys
import tempfile
import warnings

import _report
import numpy as np
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from sklearn_ser import SSLEmbedder
from sklearn_ser.speech_models._exported import BACKENDS, installed

LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}
MODELS = {
    "wav2vec2-base": (transformers.Wav2Vec2Config, {}),
    "hubert-base": (transformers.HubertConfig, {}),
    "wavlm-base": (transformers.WavLMConfig, {}),
    "data2vec-base": (transformers.Data2VecAudioConfig, {}),
    "wav2vec2-large": (transformers.Wav2Vec2Config, LARGE),
    "wavlm-large": (transformers.WavLMConfig, LARGE),
}
RATE = 16000
BATCH = 8
N_PRODUCTS = 15


def build(name, folder):
    make, settings = MODELS[name]
    torch.manual_seed(0)
    transformers.AutoModel.from_config(make(**settings)).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder)


def clips(n_clips):
    """Return noise in lengths like EmoDB's: a median of 2.6 s, from 1.2 to 9."""
    rng = np.random.default_rng(0)
    lengths = np.clip(np.exp(rng.normal(np.log(2.6), 0.38, n_clips)), 1.2, 9.0)
    return [0.1 * rng.standard_normal(int(s * RATE), dtype=np.float32) for s in lengths]


class Plain:
    """What a user of transformers writes."""

    def __init__(self, folder):
        self.extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
        self.model = transformers.AutoModel.from_pretrained(folder).eval()
        self.whisper = self.model.config.is_encoder_decoder
        if self.whisper:
            self.model = self.model.get_encoder()

    @torch.no_grad()
    def run(self, waveforms):
        inputs = self.extractor(
            waveforms,
            sampling_rate=RATE,
            return_tensors="pt",
            padding=not self.whisper or "max_length",
        )
        states = self.model(**inputs, output_hidden_states=True).hidden_states
        return [state.mean(1).numpy() for state in states]

    def loop(self, waveforms):
        for waveform in waveforms:
            self.run([waveform])

    def batches(self, waveforms):
        for i in range(0, len(waveforms), BATCH):
            self.run(waveforms[i : i + BATCH])


def ours(folder, waveforms, layer="all", **options):
    """Return a function that embeds the clips as a user would, with nothing stored."""
    embedder = SSLEmbedder(folder, layer, cache=None, waveform_rate=RATE, **options)
    return functools.partial(embedder.fit_transform, waveforms)


class Peak:
    """What a large product of matrices reaches, round by round."""

    def __init__(self):
        self.factors = torch.randn(2, 2048, 2048)
        self.linear = torch.nn.Linear(2048, 2048, bias=False)
        self.rates, self.best = [], []

    @torch.inference_mode()
    def measure(self):
        a, b = self.factors
        taken = [[], []]
        for _ in range(N_PRODUCTS):
            for times, call in zip(taken, (lambda: a @ b, lambda: self.linear(a)), strict=True):
                times.append(_report.seconds(call))
        rate = 2 * 2048**3 / 1e9
        self.rates.append(rate / min(map(statistics.median, taken)))
        self.best.append(rate / min(map(min, taken)))


def attention_flop(query, key, value, *args, **kwargs):
    return sdpa_flop_count(query, key, value)


def gflop(plain, waveforms):
    """Return the plain loop's arithmetic for a second of audio."""
    # A processor's attention is missing from torch's own list.
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    with FlopCounterMode(display=False, custom_mapping={attention: attention_flop}) as counter:
        plain.loop(waveforms)
    return counter.get_total_flops() / 1e9 / (sum(map(len, waveforms)) / RATE)


def variants_of(folder, waveforms, whisper):
    """Return what is compared: name → a function that makes the function to time."""
    plain = functools.cache(lambda: Plain(folder))
    found = {
        "plain loop": lambda: functools.partial(plain().loop, waveforms),
        f"padded batches of {BATCH}": lambda: functools.partial(plain().batches, waveforms),
        "ours, torch": functools.partial(ours, folder, waveforms, backend="torch"),
    }
    for backend in BACKENDS:
        if installed(backend):
            found[f"ours, {backend}"] = functools.partial(ours, folder, waveforms, backend=backend)
    if whisper:
        found['ours, window="clip"'] = functools.partial(
            ours, folder, waveforms, window="clip", backend="torch"
        )
    else:
        found["ours, layers ≤ 6"] = functools.partial(
            ours, folder, waveforms, layer=6, backend="torch"
        )
    if _report.multiplies_bfloat16():  # elsewhere it is emulated, many times slower
        found["ours, bfloat16"] = functools.partial(
            ours, folder, waveforms, dtype="bfloat16", backend="torch"
        )
    return found


def memory(folder, n_clips, name):
    """Return the peak memory, in GB, of one variant in a process of its own."""
    command = [sys.executable, __file__, "--memory", json.dumps([str(folder), n_clips, name])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{float(done.stdout.split()[-1]):.2f}" if done.returncode == 0 else "–"


def main():
    parser = _report.parser(__doc__)
    parser.add_argument(
        "--models",
        nargs="*",
        choices=MODELS,
        default=["wav2vec2-base", "wavlm-base", "wav2vec2-large"],
    )
    parser.add_argument("--whisper", help="a folder with Whisper base")
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--without", nargs="*", default=[], help="variants to leave out")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.memory:
        folder, n_clips, name = json.loads(options.memory)
        variants_of(folder, clips(n_clips), "whisper" in folder)[name]()()
        print(_report.peak_gigabytes())
        return
    parts = []
    with tempfile.TemporaryDirectory() as work:
        folders = {}
        for name in options.models:
            folders[name] = f"{work}/{name}"
            build(name, folders[name])
        if options.whisper:
            folders["whisper-base"] = options.whisper
        for name, folder in folders.items():
            n_clips = options.clips // 3 if "large" in name else options.clips
            parts.append(of_model(name, folder, n_clips, options))
    _report.report("Cold extraction on a CPU", parts, options.out)


def of_model(name, folder, n_clips, options):
    waveforms = clips(n_clips)
    audio = sum(map(len, waveforms)) / RATE
    plain = Plain(folder)
    per_second = gflop(plain, waveforms)
    peaks, best, results = [], [], {}
    for variant, make in variants_of(folder, waveforms, "whisper" in folder).items():
        if variant in options.without:
            continue
        # Each against the plain loop, so that no more than two models are in memory.
        peak = Peak()
        turns = {
            "plain": lambda: plain.loop(waveforms),
            "peak": peak.measure,
            "variant": make(),
        }
        taken = _report.interleaved(turns, options.repeats)
        peaks += peak.rates[1:]
        best += peak.best[1:]
        shares = [
            statistics.median(
                audio / t * per_second / rate
                for t, rate in zip(taken["variant"], rates[1:], strict=True)
            )
            for rates in (peak.rates, peak.best)
        ]
        gigabytes = memory(folder, n_clips, variant)
        results[variant] = (taken["plain"], taken["variant"], shares, gigabytes)
    rows = []
    for variant, (base, taken, shares, gigabytes) in results.items():
        speed = audio / statistics.median(taken)
        # Of those that compute what the loop does, no less and no padding.
        comparable = not any(word in variant for word in ("≤ 6", "clip", "batches", "bfloat16"))
        rows.append(
            [
                variant,
                f"{speed:.2f}",
                f"{_report.median_ratio(base, taken):.2f} ×",
                *(f"{share:.0%}" if comparable else "–" for share in shares),
                _report.spread(taken),
                gigabytes,
            ]
        )
    peak = statistics.median(peaks)
    base = audio / statistics.median([t for taken in results.values() for t in taken[0]])
    left_out = f" Left out: {'; '.join(options.without)}." if options.without else ""
    header = [
        "variant",
        "audio s/s",
        "against plain",
        "of the peak",
        "of its best call",
        "spread",
        "peak memory, GB",
    ]
    return (
        f"## {name}\n\n{n_clips} clips, {audio:.0f} s; {per_second:.1f} GFLOP per second of audio; "
        f"GEMM peak {peak:.0f} GFLOP/s, at which that would be "
        f"{peak / per_second / base:.2f} × the plain loop, {statistics.median(best):.0f} in its "
        f"best call; medians of {options.repeats}.{left_out}\n\n" + _report.table(header, rows)
    )


if __name__ == "__main__":
    main()
