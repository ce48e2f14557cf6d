"""What the teacher, Whisper base's encoder, makes of each utterance, frame by frame."""

import numpy as np

from sklearn_ser import SSLEmbedder

LAYERS = (3, 4)  # where it tells emotions apart best


def targets(teacher, waveforms, folder, verbose=True):
    """Return the frames of the teacher's layers, on disk, and how many each utterance has.

    Parameters
    ----------
    teacher : str
        Folder or hub id of Whisper base.
    waveforms : list of ndarray of shape (n_samples,), float32, 16 kHz
    folder : Path

    Returns
    -------
    frames : memmap of shape (n_frames, n_layers, n_dims), float16
        Fifty a second, of all utterances end to end, standardised over all frames.
    lengths : ndarray of shape (n_utterances,)
    """
    import tqdm

    embedder = SSLEmbedder(teacher, layer=list(LAYERS), pooling=None, window="clip", cache=None)
    lengths = np.array([1 + (len(waveform) // 160 - 1) // 2 for waveform in waveforms])
    shape = (int(lengths.sum()), len(LAYERS), 512)
    frames = np.lib.format.open_memmap(folder / "frames.npy", "w+", np.float16, shape)
    at, sums, squares, n_frames = 0, 0.0, 0.0, 0
    step = 64
    for start in tqdm.trange(0, len(waveforms), step, desc="teacher", disable=not verbose):
        pairs = [(waveform, 16000) for waveform in waveforms[start : start + step]]
        for i, sequence in enumerate(embedder.transform(pairs)):
            wanted = lengths[start + i]
            sequence = sequence.reshape(len(sequence), len(LAYERS), -1)[:wanted]
            if len(sequence) < wanted:
                sequence = np.pad(sequence, ((0, wanted - len(sequence)), (0, 0), (0, 0)), "edge")
            sums, squares = sums + sequence.sum(0, dtype="f8"), squares + (sequence**2.0).sum(0)
            n_frames += len(sequence)
            frames[at : at + wanted] = np.clip(sequence, -6e4, 6e4)
            at += wanted
    mean = sums / n_frames
    std = np.sqrt(squares / n_frames - mean**2)
    for start in range(0, len(frames), 1 << 16):
        part = frames[start : start + (1 << 16)]
        part[:] = (part - mean) / std
    frames.flush()
    return frames, lengths
