"""openSMILE's feature sets of long recordings, in blocks.

openSMILE keeps the waveform and all frames of a clip until its end, with 128 bytes of time stamps
for each frame of each level, in arrays that double when they are full. Here its own components,
with their settings from its own files, are run one after the other:

1. from the waveform, given in blocks, to frames, which are kept without time stamps;
2. from the frames of a few features at a time to their functionals.

The values are those of `opensmile.Smile`, to the last bit, for clips of a second or more.
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
N_KEPT = 100 * N_FRAMES  # that are kept in one array
N_VALUES = 2**20  # frames × features, of which functionals are computed at once
RING = """
writer.levelconf.growDyn = 0
writer.levelconf.isRb = 1
writer.levelconf.nT = 1000
"""
LEVEL = """writer.dmLevel={}
writer.levelconf.growDyn=0
writer.levelconf.isRb=0
writer.levelconf.nT={}
blocksize=1
fieldSizes=1
"""


def to_16_bits(waveform: Array) -> Array:
    """Return the samples clipped: openSMILE's 16-bit integers would wrap +1.0 round to -1.0."""
    return np.clip(waveform, -1, 32767 / 32768)


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


# Gives its one frame when openSMILE computes functionals: as soon as its input has ended. Some
# frames are computed thereafter, as by smoothing, and are no part of functionals.
PROBE = (
    Component("probe", "cExternalSource", f"{LEVEL.format('probe', 2)}fieldNames=probe"),
    Component(
        "probed",
        "cFunctionals",
        "reader.dmLevel=probe\nwriter.dmLevel=probed\nframeMode=full\nframeSize=0\nframeStep=0\n"
        "functionalsEnabled=Means\nMeans.amean=1",
    ),
    Component("extprobe", "cExternalSink", "reader.dmLevel=probed\nblocksize=1"),
)


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
        self._root = os.path.dirname(path)
        while not os.path.isdir(os.path.join(self._root, "shared")):
            if self._root == os.path.dirname(self._root):
                raise ValueError(f'no folder "shared" above {path}')
            self._root = os.path.dirname(self._root)
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
                lines.append(self._expand(os.path.join(self._root, "shared", f"{name}.conf.inc")))
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
            return self._frames(waveform, rate, [level], 1)[level][:]
        steps = self._upstream(self._output.reads)
        functionals = [step for step in steps if step.kind == "cFunctionals"]
        inputs = dict.fromkeys(level for step in functionals for level in step.reads)
        frames = self._frames(waveform, rate, [*inputs], N_FRAMES)
        rows = {str(step.writes): _functionals(step, frames) for step in functionals}
        for output in self._output.reads:  # what is computed of functionals, and renamed
            if after := self._upstream([output], [*rows]):
                reads = dict.fromkeys(level for step in after for level in step.reads)
                rows[output] = _computed(
                    after, {name: rows[name] for name in reads if name in rows}
                )
        return np.concatenate([rows[output][:] for output in self._output.reads], axis=1)

    def _frames(
        self, waveform: Array, rate: float, levels: Sequence[str], n_at_once: int
    ) -> dict[str, Frames]:
        """Return the frames of levels that are computed of the waveform."""
        block, begin = int(BLOCK * rate), 0
        settings = (
            "writer.dmLevel=wave\nwriter.levelconf.growDyn=0\nwriter.levelconf.isRb=1\n"
            f"writer.levelconf.nT={int(KEPT * rate)}\nblocksize={block}\n"
            f"sampleRate={rate}\nnBits=16\nchannels=1"
        )

        def give(smile: Any) -> None:
            nonlocal begin
            while begin < len(waveform):
                part = to_16_bits(waveform[begin : begin + block]) * 32768
                data = part.astype(np.int16).tobytes()
                if not smile.external_audio_source_write_data("extsource", data):
                    return
                begin += block
                if begin >= len(waveform):
                    smile.external_audio_source_set_eoi("extsource")

        source = Component("extsource", "cExternalAudioSource", settings)
        return _run([source, *self._upstream(levels)], levels, give, n_at_once)


class Frames:
    """Frames of a level, as openSMILE gives them: with the names of features and their period."""

    def __init__(self, names: list[str]) -> None:
        self.names, self.period, self._n_frames = names, 0.0, 0
        self._blocks: list[Array] = []

    def add(self, frames: Array, period: float) -> None:
        """Add the next frames, of shape (n_frames, n_features)."""
        begin = self._n_frames % N_KEPT
        if begin == 0:
            self._blocks.append(np.empty((N_KEPT, len(self.names)), np.float32))
        self._blocks[-1][begin : begin + len(frames)] = frames
        self._n_frames += len(frames)
        self.period = period

    def __len__(self) -> int:
        return self._n_frames

    def __getitem__(self, features: slice | int) -> Array:
        """Return features of all frames, of shape (n_frames, n_features) or (n_frames,)."""
        blocks = [block[:, features] for block in self._blocks]
        if blocks:
            blocks[-1] = blocks[-1][: self._n_frames - N_KEPT * (len(blocks) - 1)]
        return np.concatenate(blocks) if blocks else np.empty((0, len(self.names)), np.float32)


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


def _functionals(step: Component, frames: Mapping[str, Frames]) -> Frames:
    """Return functionals of frames, computed of a number of features at a time."""
    frames = {level: frames[level] for level in step.reads}
    n_frames = min(map(len, frames.values()))
    if "preserveFields" in step.settings:  # their order depends on all features
        return _computed([step], frames)
    features = [(level, i) for level in frames for i in range(len(frames[level].names))]
    n_at_once = max(1, N_VALUES // n_frames)
    found = [
        _computed([step], frames, features[first : first + n_at_once], n_frames)
        for first in range(0, len(features), n_at_once)
    ]
    joined = Frames([name for part in found for name in part.names])
    joined.add(np.concatenate([part[:] for part in found], axis=1), 0.0)
    return joined


def _computed(
    steps: list[Component],
    frames: Mapping[str, Frames],
    features: list[tuple[str, int]] | None = None,
    n_frames: int | None = None,
) -> Frames:
    """Return what components compute of features (all by default), each a level of its own."""
    if features is None:
        features = [(level, i) for level in frames for i in range(len(frames[level].names))]
    sources, levels = [], dict[str, list[str]]()
    for number, (level, i) in enumerate(features):
        levels.setdefault(level, []).append(f"frames{number}")
        name = re.sub(r"[\[\]]", "_", frames[level].names[i])
        settings = LEVEL.format(f"frames{number}", len(frames[level]) + 1)
        settings += f"fieldNames={name}\nperiod={frames[level].period!r}"
        sources.append(Component(f"extsource{number}", "cExternalSource", settings))
    steps = [_reading(step, levels) for step in steps]
    (output,) = {str(step.writes) for step in steps} - {name for s in steps for name in s.reads}
    columns = zip(sources, features, strict=True)

    def give(smile: Any) -> None:
        for source, (level, i) in columns:
            _write(smile, source.name, frames[level][i][:n_frames])

    return _run([*sources, *steps], [output], give)[output]


def _write(smile: Any, source: str, column: Array) -> None:
    """Give openSMILE all frames of one feature."""
    if not smile.external_source_write_data(source, column):
        raise RuntimeError("openSMILE does not take all frames")
    smile.external_source_set_eoi(source)


def _reading(component: Component, levels: Mapping[str, list[str]]) -> Component:
    """Return a component that reads the levels of single features in place of their level."""
    if not set(component.reads) & set(levels):
        return component
    reads = [name for level in component.reads for name in levels.get(level, [])]
    settings = re.sub(
        r"(?m)^[ \t]*reader\.dmLevel\s*=.*$",
        f"reader.dmLevel={';'.join(reads)}",
        component.settings,
    )
    return component._replace(settings=settings)


def _run(
    components: list[Component],
    levels: Sequence[str],
    give: Callable[[Any], None],
    n_at_once: int = 1,
) -> dict[str, Frames]:
    """Return the frames that components write to levels.

    Parameters
    ----------
    components : list of Component
        Sources first.
    levels : list of str
    give : callable
        Is called with openSMILE at first and whenever it gives frames, to write to the sources what
        they take, and their end.
    n_at_once : int
        Number of frames that openSMILE gives at once. With 1, all are returned, with more those
        that functionals are computed of.
    """
    from opensmile.core.lib import OpenSMILE

    sinks = {f"extsink{i}": level for i, level in enumerate(levels)}
    for name, level in sinks.items():
        settings = f"reader.dmLevel={level}\nblocksize={n_at_once}"
        components = [*components, Component(name, "cExternalSink", settings)]
    if n_at_once > 1:
        components = [PROBE[0], *components, *PROBE[1:]]
    text = "[componentInstances:cComponentManager]\ninstance[dataMemory].type=cDataMemory\n"
    text += "".join(f"instance[{part.name}].type={part.kind}\n" for part in components)
    text += "".join(f"\n[{part.name}:{part.kind}]\n{part.settings}\n" for part in components)
    smile, found, errors = OpenSMILE(), dict[str, Frames](), list[BaseException]()
    at_end = False

    def take(level: str | None, block: Array, meta: Any) -> None:
        nonlocal at_end
        try:
            if level is None:
                at_end = True
            elif not at_end:
                found[level].add(block, meta.period)
            give(smile)
        except BaseException as error:  # which cannot pass through openSMILE
            errors.append(error)
            smile.abort()

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "blockwise.conf")
        with open(path, "w", encoding="ascii", errors="replace") as file:
            file.write(text)
        smile.initialize(path, {})
    try:
        for name, level in sinks.items():
            n_features = smile.external_sink_get_num_elements(name)
            names = [smile.external_sink_get_element_name(name, i) for i in range(n_features)]
            found[level] = Frames(names)
            smile.external_sink_set_callback_ex(name, functools.partial(take, level))
        if n_at_once > 1:
            smile.external_sink_set_callback_ex(PROBE[-1].name, functools.partial(take, None))
            _write(smile, PROBE[0].name, np.zeros(1, np.float32))
        give(smile)
        smile.run()
    finally:
        smile.free()
        if errors:
            raise errors[0]
    return found
