"""openSMILE's feature sets of long recordings, in blocks.

openSMILE keeps the waveform and all frames of a clip until its end, with 128 bytes of time stamps
for each frame of each level: 25 times what the waveform takes. Here its own components, with their
settings from its own files, are run one after the other:

1. from the waveform, given in blocks, to frames, which are kept without time stamps;
2. from the frames of a few features at a time to their functionals.

The values are those of `opensmile.Smile`, to the last bit.
"""

from __future__ import annotations

import functools
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["BlockwiseSmile"]

Array = npt.NDArray[np.float32]

OUTPUTS = {"functionals": "func", "lld": "lld"}  # levels of openSMILE's files
BLOCK = 2.0  # seconds, that are given at once
# Seconds of waveform that openSMILE may keep. Voice quality is computed 3 s after the waveform has
# arrived, and a block comes after each second of frames.
KEPT = 20.0
N_FRAMES = 100  # that openSMILE gives at once
N_AT_ONCE = 8  # features of which functionals are computed at once
RING = """
writer.levelconf.growDyn = 0
writer.levelconf.isRb = 1
writer.levelconf.nT = 1000
"""
CHECKED = 3.0  # seconds


class Component(NamedTuple):
    """A component of openSMILE: what it is, what it reads and writes, and its settings."""

    name: str
    kind: str
    settings: str

    @property
    def reads(self) -> list[str]:
        """The levels that it reads."""
        found = re.findall(r"(?m)^[ \t]*\w*reader\d*\.dmLevel\s*=(.*)$", self.settings)
        return [level for levels in found for level in re.split(r"[;\s]+", levels) if level]

    @property
    def writes(self) -> str | None:
        """The level that it writes."""
        found = re.search(r"(?m)^[ \t]*writer\.dmLevel\s*=\s*(\S+)", self.settings)
        return found[1] if found else None


class BlockwiseSmile:
    """One feature set of openSMILE, computed in blocks.

    Parameters
    ----------
    path : str
        openSMILE's file of the feature set.
    level : {"functionals", "lld"}

    Raises
    ------
    ValueError
        If the file is of another form than those known.
    """

    def __init__(self, path: str, level: str) -> None:
        shared = os.path.join(os.path.dirname(os.path.dirname(path)), "shared")
        while not os.path.isdir(shared):
            above = os.path.dirname(os.path.dirname(shared))
            if above == os.path.dirname(shared):
                raise ValueError(f"{path} has no folder of what is shared")
            shared = os.path.join(above, "shared")
        self._shared = shared
        self._components = list(_components(self._expand(path)))
        self._writers = {part.writes: part for part in self._components if part.writes}
        output = self._writer(OUTPUTS[level])
        if output.kind != "cVectorConcat" or not re.search(
            r"(?m)^[ \t]*includeSingleElementFields\s*=\s*1", output.settings
        ):
            raise ValueError(f"{path}: {output.name} does more than to join levels")
        self._output, self._functionals = output, level == "functionals"

    def _expand(self, path: str) -> str:
        """Return a file's text with that of those it includes, and without comments."""
        with open(path, encoding="utf-8", errors="replace") as file:
            text = re.sub(r"(?s)/\*.*?\*/", "", file.read())
        lines: list[str] = []
        for line in text.splitlines():
            line = re.sub(r"^\s*(;|//).*", "", line)
            included = re.match(r"\s*\\\{(?:\\cm\[(\w+).*\]|(.*))\}", line)
            if included is None:
                lines.append(line)
            elif included[2]:
                lines.append(self._expand(os.path.join(os.path.dirname(path), included[2])))
            elif included[1] == "bufferModeConf":
                lines.append(RING)
            elif included[1] not in ("source", "sink"):
                name = included[1][0].upper() + included[1][1:].removesuffix("Conf")
                lines.append(self._expand(os.path.join(self._shared, f"{name}.conf.inc")))
        return "\n".join(lines)

    def _writer(self, level: str) -> Component:
        if level not in self._writers:
            raise ValueError(f"openSMILE's files have no level {level}")
        return self._writers[level]

    def _upstream(self, levels: Sequence[str], stop: Sequence[str] = ()) -> list[Component]:
        """Return the components that levels are computed by, in the order of the file."""
        found, ahead = set(), list(levels)
        while ahead:
            level = ahead.pop()
            if level in stop or level == "wave":
                continue
            part = self._writer(level)
            if part.name not in found:
                found.add(part.name)
                ahead += part.reads
        return [part for part in self._components if part.name in found]

    def __call__(self, waveform: Array, rate: float) -> Array:
        """Return features of shape (n_frames, n_features), float32; one row of functionals.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,), float32
            What exceeds ±1 is clipped.
        rate : float
            Sampling rate, in Hz.
        """
        if not self._functionals:
            level = str(self._output.writes)
            return self._frames(waveform, rate, [level])[level].matrix()
        parts = [self._upstream([level]) for level in self._output.reads]
        inputs = [
            [level for part in found if part.kind == "cFunctionals" for level in part.reads]
            for found in parts
        ]
        frames = self._frames(waveform, rate, list(dict.fromkeys(sum(inputs, []))))
        rows = []
        for output, levels in zip(self._output.reads, inputs, strict=True):
            levels = list(dict.fromkeys(levels))
            steps = self._upstream([output], levels)
            n_at_once = N_AT_ONCE if len(steps) == 1 else 0
            rows += _functionals(steps, {level: frames[level] for level in levels}, n_at_once)
        return np.concatenate(rows)[None]

    def _frames(self, waveform: Array, rate: float, levels: list[str]) -> dict[str, Frames]:
        """Return the frames of levels that are computed of the waveform."""
        block, kept = int(BLOCK * rate), int(KEPT * rate)
        source = _component(
            "extsource",
            "cExternalAudioSource",
            f"writer.dmLevel=wave\nwriter.levelconf.growDyn=0\nwriter.levelconf.isRb=1\n"
            f"writer.levelconf.nT={kept}\nblocksize={block}\n"
            f"sampleRate={rate}\nnBits=16\nchannels=1\n",
        )
        begin = 0

        def give(smile: Any) -> bool:
            nonlocal begin
            while begin < len(waveform):
                # openSMILE reads 16-bit integers, in which +1.0 would wrap round to -1.0.
                part = np.clip(waveform[begin : begin + block], -1, 32767 / 32768) * 32768
                data = part.astype(np.int16).tobytes()
                if not smile.external_audio_source_write_data("extsource", data):
                    return False
                begin += block
            smile.external_audio_source_set_eoi("extsource")
            return True

        return _run([source, *self._upstream(levels)], levels, give)


class Frames:
    """The frames of a level: blocks of shape (n_frames, n_features), names and their period."""

    def __init__(self, names: list[str]) -> None:
        self.names, self.blocks, self.period = names, list[Array](), 0.0
        self._last: list[Array] = []
        self._first_of_last = 0

    def add(self, block: Array, meta: Any) -> None:
        """Add the next frames, which openSMILE overwrites then."""
        self.blocks.append(block.copy())
        self.period = meta.period

    def add_last(self, block: Array, meta: Any) -> None:
        """Add the next of the last frames, some of which may be in blocks already."""
        if not self._last:
            self._first_of_last = meta.vIdx
        self._last.append(block.copy())
        self.period = meta.period

    def finish(self) -> None:
        """Join the last frames to the blocks."""
        self.n_seen = 0
        for block in self.blocks:
            self.n_seen += len(block)
            if len(block) < N_FRAMES:
                break
        if not self._last:
            return
        n_more = self._first_of_last - len(self)
        if n_more > 0:
            raise RuntimeError(f"openSMILE left out {n_more} frames")
        while n_more < 0:
            block = self.blocks.pop()
            if len(block) + n_more > 0:
                self.blocks.append(block[:n_more])
            n_more += len(block)
        self.blocks.append(np.concatenate(self._last))
        self._last = []

    def __len__(self) -> int:
        return sum(map(len, self.blocks))

    def matrix(self) -> Array:
        """Return all frames."""
        return np.concatenate(self.blocks) if self.blocks else np.empty((0, 0), np.float32)

    def column(self, index: int) -> Array:
        """Return one feature of all frames."""
        return np.concatenate([block[:, index] for block in self.blocks])


def _components(text: str) -> Iterator[Component]:
    """Yield the components that openSMILE's file makes, in its order."""
    parts = re.split(r"(?m)^[ \t]*\[(\w+):(\w+)\]", text)
    sections: dict[str, str] = {}
    for name, body in zip(parts[1::3], parts[3::3], strict=True):
        sections[name] = sections.get(name, "") + body
    instances = sections.get("componentInstances", "")
    for name, kind in re.findall(r"(?m)^[ \t]*instance\[(\w+)\]\.type\s*=\s*(\w+)", instances):
        if kind != "cDataMemory":
            yield Component(name, kind, sections[name])


def _component(name: str, kind: str, settings: str) -> Component:
    return Component(name, kind, f"\n{settings}")


def _functionals(
    steps: list[Component], frames: Mapping[str, Frames], n_at_once: int
) -> Iterator[Array]:
    """Yield what components compute of frames, of a number of features at a time."""
    features = [(level, i) for level in frames for i in range(len(frames[level].names))]
    n_at_once = n_at_once or len(features)
    n_frames = {level: frames[level].n_seen for level in frames}
    if n_at_once < len(features):
        n_frames = dict.fromkeys(frames, min(n_frames.values()))
    for first in range(0, len(features), n_at_once):
        some = features[first : first + n_at_once]
        yield _functionals_of(steps, frames, some, n_frames)


def _functionals_of(
    steps: list[Component],
    frames: Mapping[str, Frames],
    features: list[tuple[str, int]],
    n_frames: Mapping[str, int],
) -> Array:
    """Return what components compute of some features, each a level of its own."""
    sources, levels = [], dict[str, list[str]]()
    for number, (level, i) in enumerate(features):
        levels.setdefault(level, []).append(f"frames{number}")
        name = re.sub(r"[\[\]]", "_", frames[level].names[i])
        settings = (
            f"writer.dmLevel=frames{number}\nwriter.levelconf.growDyn=0\n"
            f"writer.levelconf.isRb=0\nwriter.levelconf.nT={n_frames[level] + 1}\nblocksize=1\n"
            f"fieldNames={name}\nfieldSizes=1\nperiod={frames[level].period!r}\n"
        )
        sources.append(_component(f"extsource{number}", "cExternalSource", settings))
    steps = [_reading(step, levels) for step in steps]
    (output,) = {str(step.writes) for step in steps} - {name for s in steps for name in s.reads}

    def give(smile: Any) -> bool:
        for source, (level, i) in zip(sources, features, strict=True):
            column = frames[level].column(i)[: n_frames[level]]
            if not smile.external_source_write_data(source.name, column):
                raise RuntimeError(f"openSMILE does not take {len(column)} frames")
            smile.external_source_set_eoi(source.name)
        return True

    return _run([*sources, *steps], [output], give)[output].matrix()[0]


def _reading(component: Component, levels: Mapping[str, list[str]]) -> Component:
    """Return a component that reads the levels of single features in place of their level."""
    if not set(component.reads) & set(levels):
        return component
    reads = [name for level in component.reads for name in levels.get(level, [])]
    settings = re.sub(
        r"(?m)^[ \t]*reader\.dmLevel\s*=.*$", f"reader.dmLevel={';'.join(reads)}", component.settings
    )
    return component._replace(settings=settings)


def _run(
    components: list[Component], levels: list[str], give: Callable[[Any], bool]
) -> dict[str, Frames]:
    """Return what openSMILE writes to levels.

    Parameters
    ----------
    components : list of Component
        The sources first.
    levels : list of str
    give : callable
        Is called with openSMILE at first and whenever it gives frames, to write to the sources what
        they take; returns whether that was the last.
    """
    from opensmile.core.lib import OpenSMILE

    # At the end, openSMILE gives the rest of a block, and leaves out what is computed thereafter:
    # the last frames are taken one by one.
    sinks = {
        f"ext{what}{i}": (level, n)
        for i, level in enumerate(levels)
        for what, n in (("blocks", N_FRAMES), ("last", 1))
    }
    components = components + [
        _component(name, "cExternalSink", f"reader.dmLevel={level}\nblocksize={n}\n")
        for name, (level, n) in sinks.items()
    ]
    instances = "".join(f"instance[{part.name}].type={part.kind}\n" for part in components)
    text = f"[componentInstances:cComponentManager]\ninstance[dataMemory].type=cDataMemory\n{instances}"
    text += "".join(f"\n[{part.name}:{part.kind}]{part.settings}" for part in components)
    smile, found, errors = OpenSMILE(), dict[str, Frames](), list[BaseException]()

    def take(add: Callable[[Array, Any], None], block: Array, meta: Any) -> None:
        try:
            add(block, meta)
            step()
        except BaseException as error:  # which cannot pass through openSMILE
            errors.append(error)
            smile.abort()

    def step() -> None:
        nonlocal at_end
        if not at_end and give(smile):
            at_end = True
            for name, (level, n) in sinks.items():
                if n == 1:
                    add = functools.partial(take, found[level].add_last)
                    smile.external_sink_set_callback_ex(name, add)

    at_end = False
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "blockwise.conf")
        with open(path, "w", encoding="ascii", errors="replace") as file:
            file.write(text)
        smile.initialize(path, {})
    try:
        for name, (level, n) in sinks.items():
            if n > 1:
                n_features = smile.external_sink_get_num_elements(name)
                names = [smile.external_sink_get_element_name(name, i) for i in range(n_features)]
                found[level] = Frames(names)
                add = functools.partial(take, found[level].add)
                smile.external_sink_set_callback_ex(name, add)
        step()
        smile.run()
    finally:
        smile.free()
    if errors:
        raise errors[0]
    for frames in found.values():
        frames.finish()
    return found
