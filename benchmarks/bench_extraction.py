"""Cold extraction against a plain transformers loop, and what each optimisation is worth.

    python benchmarks/bench_extraction.py [--models wav2vec2-base wavlm-base …] [--whisper FOLDER]

Models have random weights, as speed does not depend on them; Whisper base is read from a folder.
Clips are noise as long as EmoDB's. The loop and ours make the mean over frames of every layer; ours
makes all statistics of them. All variants of a table run in turn, and a ratio is the median over
rounds. The second table leaves out one optimisation at a time, and keeps all others.
"""

import contextlib
import functools
import statistics
import tempfile
import warnings
from unittest import mock

import _report
import numpy as np
import torch
import transformers

from sklearn_ser import SSLEmbedder
from sklearn_ser._models import _speech_model
from sklearn_ser._models._front_end import UnsupportedFrontEnd

LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}
TINY = {"hidden_size": 32, "num_hidden_layers": 8, "num_attention_heads": 2, "conv_dim": (16,) * 7}
MODELS = {
    "wav2vec2-base": (transformers.Wav2Vec2Config, {}),
    "wavlm-base": (transformers.WavLMConfig, {}),
    "wav2vec2-large": (transformers.Wav2Vec2Config, LARGE),
    "tiny": (transformers.WavLMConfig, TINY),  # only to see that this runs
}
RATE = 16000
SHORT, LONG = 3, 20  # seconds, for WavLM's attention


def build(name, folder):
    make, settings = MODELS[name]
    torch.manual_seed(0)
    transformers.AutoModel.from_config(make(**settings)).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder)
    return folder


def noise(lengths):
    rng = np.random.default_rng(0)
    return [0.1 * rng.standard_normal(int(s * RATE), dtype=np.float32) for s in lengths]


def clips_like_emodb(n_clips):
    """Return noise with a median length of 2.6 s, from 1.2 to 9."""
    lengths = np.exp(np.random.default_rng(0).normal(np.log(2.6), 0.38, n_clips))
    return noise(np.clip(lengths, 1.2, 9.0))


def plain_loop(folder, waveforms):
    """Return a function that does what a user of transformers writes."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    if model.config.is_encoder_decoder:
        model = model.get_encoder()

    @torch.no_grad()
    def run():
        for waveform in waveforms:
            inputs = extractor(waveform, sampling_rate=RATE, return_tensors="pt")
            states = model(**inputs, output_hidden_states=True).hidden_states
            [state.mean(1).numpy() for state in states]

    return run


def ours(folder, waveforms, layer="all", without=contextlib.nullcontext, **options):
    """Return a function that embeds clips as a user would, by a model loaded inside a context."""
    embedder = SSLEmbedder(folder, layer, cache=None, waveform_rate=RATE, **options)
    with without():
        # Of its own: what is loaded is shared, and has the optimisations that it was loaded with.
        model = _speech_model.SpeechModel(embedder.model_folder(), "cpu", embedder.dtype)

    def run():
        with mock.patch.object(SSLEmbedder, "_loaded", return_value=model):
            embedder.fit_transform(waveforms)

    return run


def own_front_end():
    """Let models keep their front end."""
    return mock.patch.object(_speech_model, "FrontEnd", side_effect=UnsupportedFrontEnd)


def own_attention():
    """Let WavLM keep its attention."""
    return mock.patch.object(_speech_model, "fuse_attention")


def against_plain(folder, waveforms, repeats):
    variants = {"plain loop": plain_loop(folder, waveforms), "ours": ours(folder, waveforms)}
    return _report.interleaved(variants, repeats)


def ablations(name, folder, waveforms):
    """Yield what is left out or added, and the functions without and with it."""
    make = functools.partial(ours, folder)
    lengths = f"{len(waveforms)} clips"
    yield (
        "clips side by side, not one by one on all cores",
        lengths,
        make(waveforms, batch_seconds=None),
        make(waveforms),
    )
    yield (
        "front end by products of matrices, not the model's own",
        lengths,
        make(waveforms, without=own_front_end),
        make(waveforms),
    )
    if MODELS[name][0] is transformers.WavLMConfig:
        for seconds in (SHORT, LONG):
            some = noise([seconds] * max(2, int(sum(map(len, waveforms)) / RATE / seconds)))
            yield (
                "WavLM's attention by the fused kernel, not the model's own",
                f"{len(some)} clips of {seconds} s",
                make(some, without=own_attention),
                make(some),
            )
    yield "layers ≤ 6, not all", lengths, make(waveforms), make(waveforms, 6)
    yield (
        "bfloat16, not float32"
        + ("" if _report.multiplies_bfloat16() else " (not multiplied by this processor)"),
        lengths,
        make(waveforms),
        make(waveforms, dtype="bfloat16"),
    )


def main():
    parser = _report.parser(__doc__)
    defaults = [name for name in MODELS if name != "tiny"]
    parser.add_argument("--models", nargs="*", choices=MODELS, default=defaults)
    parser.add_argument("--whisper", help="a folder with Whisper base")
    parser.add_argument("--clips", type=int, default=48, help="a third of it for large models")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows, parts = [], []
    with tempfile.TemporaryDirectory() as work:
        runs = [(name, build(name, f"{work}/{name}")) for name in options.models]
        if options.whisper:
            runs.append(("whisper-base, 30 s padded", options.whisper))
        for name, folder in runs:
            n_clips = options.clips // 3 if "large" in name else options.clips
            waveforms = clips_like_emodb(n_clips)
            audio = sum(map(len, waveforms)) / RATE
            taken = against_plain(folder, waveforms, options.repeats)
            speeds = [audio / statistics.median(times) for times in taken.values()]
            ratio = _report.median_ratio(*taken.values())
            spread = _report.spread(taken["ours"])
            rows.append([name, n_clips, *(f"{s:.2f}" for s in speeds), f"{ratio:.2f} ×", spread])
            if name in MODELS:
                parts.append(ablation_table(name, folder, waveforms, options.repeats))
    header = ["model", "clips", "plain loop, audio s/s", "ours", "times faster", "spread of ours"]
    about = f"## Against a plain loop\n\nAll layers, float32; medians of {options.repeats}.\n\n"
    _report.report("Cold extraction", [about + _report.table(header, rows), *parts], options.out)


def ablation_table(name, folder, waveforms, repeats):
    rows = []
    for what, lengths, without, with_it in ablations(name, folder, waveforms):
        taken = _report.interleaved({"without": without, "with": with_it}, repeats)
        ratio = _report.median_ratio(taken["without"], taken["with"])
        seconds = [f"{statistics.median(times):.2f}" for times in taken.values()]
        rows.append([what, lengths, *seconds, f"{ratio:.2f} ×", _report.spread(taken["with"])])
    header = ["one optimisation", "of", "without, s", "with, s", "times faster", "spread"]
    return f"## {name}, one at a time\n\n" + _report.table(header, rows)


if __name__ == "__main__":
    main()
