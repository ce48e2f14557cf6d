"""What every benchmark prints: a Markdown table, and the machine and versions it holds for."""

import argparse
import os
import platform
import resource
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = (
    "sklearn-ser",
    "scikit-learn",
    "numpy",
    "torch",
    "transformers",
    "librosa",
    "opensmile",
)


def parser(doc):
    """Return a parser with the options that all benchmarks have."""
    found = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--repeats", type=int, default=5, help="counted runs of each variant")
    found.add_argument("--out", type=Path, help="also write the report to this file")
    return found


def seconds(function):
    """Return how long a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def interleaved(variants, repeats):
    """Run every variant in turn, so that a busy moment hits all; return the seconds of each."""
    for function in variants.values():
        function()  # a warm-up, not counted
    taken = {name: [] for name in variants}
    for _ in range(repeats):
        for name, function in variants.items():
            taken[name].append(seconds(function))
    return taken


def median_ratio(base, taken):
    """Return the median over rounds of how many times faster than the base a variant is."""
    return statistics.median(b / t for b, t in zip(base, taken, strict=True))


def spread(taken):
    """Return the range of some seconds around their median, in per cent."""
    middle = statistics.median(taken)
    return f"−{(1 - min(taken) / middle):.0%}/+{(max(taken) / middle - 1):.0%}"


def peak_gigabytes():
    """Return the most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage tells includes the parent before this program started
        (line,) = [x for x in status.read_text().splitlines() if x.startswith("VmHWM")]
        return int(line.split()[1]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def multiplies_bfloat16():
    """Tell whether the processor has instructions for products of bfloat16."""
    return any(flag in processor()[1] for flag in ("avx512_bf16", "amx_bf16"))


def processor():
    """Return the processor's name, and which of the instructions that matter here it has."""
    name = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    flags = []
    if cpuinfo.exists():
        lines = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        found = {key.strip(): value.strip() for key, value in lines.items()}
        name = found.get("model name", name)
        known = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
        flags = [flag for flag in known if flag in found.get("flags", "").split()]
    return name, flags


def machine():
    """Return the processor, the cores and the versions, as a Markdown list."""
    name, flags = processor()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = []
    for library in LIBRARIES:
        try:
            versions.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            continue
    return (
        f"- Machine: {name}, {cores} cores ({' '.join(flags)}), "
        f"{platform.system()} {platform.machine()}\n"
        f"- Python {platform.python_version()}, {', '.join(versions)}\n"
    )


def table(header, rows):
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines) + "\n"


def report(title, parts, out):
    """Print the report, and write it if asked to."""
    text = "\n".join([f"# {title}\n", machine(), *parts])
    print(text)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)
