"""How sound files begin, so that a second one behind the first is not taken for its sound."""

from __future__ import annotations

import re

from sklearn_ser._audio._content import Encoded

__all__ = ["W64", "refuse_second_file"]

W64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb"
LONGEST = 64  # bytes that one of these looks at
# How files begin of which decoders read one only, or take a second one for sound: 8 bytes or more
# that are not likely to be sound. Those of MPEG, Ogg and FLAC can be joined.
IRCAM = rb"....(?:\0\0\0[\1-\x20]|[\1-\x20]\0\0\0)"
WHOLE_FILES = {
    mark: re.compile(rest, re.DOTALL)
    for mark, rest in (
        (b"RIFF", rb"....WAVE"),
        (b"RIFX", rb"....WAVE"),
        (b"RF64", rb"....WAVE"),
        (b"FORM", rb"....(?:AIF[FC]|8SVX|16SV)"),
        (b"caff\0\1\0\0", rb""),
        (W64, rb""),
        (b".snd\0\0", rb".{10}\0\0"),
        (b"dns.", rb"..\0\0.{8}..\0\0"),
        (b"NIST_1A\n", rb""),
        (b"Creative Voice File", rb""),
        (b"2BIT", rb".{8}(?:\0\0|\xff\xff)\0[\x08\x10\x18\x20]"),
        (b" paf\0\0\0\0", rb""),
        (b"fap \0\0\0\0", rb""),
        (b"PVF1\n", rb"\d+ \d+ \d+\n"),
        *((bytes([0x64, 0xA3, machine, 0]), IRCAM) for machine in range(1, 5)),
        *((bytes([0, machine, 0xA3, 0x64]), IRCAM) for machine in range(1, 5)),
        (b"ftyp", rb"[ -~]{4}"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", rb""),
        (b"FLV\x01", rb".\0\0\0\x09"),
        (b"TTA1", rb"[\1\3]\0.\0.\0"),
        (b"MAC ", rb".\x0f"),
        (b"#!AMR", rb"(?:-WB)?\n"),
        (b"ALawSoundFile**", rb""),
        (b"Extended Instrument: ", rb""),
        (b"\xf0\x7e", rb".\x01.{16}\xf7"),
        (b"\x01\x04", rb"[ -~\0]{17}"),
        (b"MATLAB 5.0 MAT-file", rb""),
        (b"\0\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0", rb"\x0b\0\0\0samplerate\0"),
        (b"\0\0\x03\xe8\0\0\0\1\0\0\0\1\0\0\0\0", rb"\0\0\0\x0bsamplerate\0"),
    )
}


def refuse_second_file(content: Encoded, begin: int) -> None:
    """Raise a ValueError if another file of the same format begins in a file's content."""
    lead = 4 if content[begin + 4 : begin + 8] == b"ftyp" else 0  # the size of that box
    begin += lead
    for mark, rest in WHOLE_FILES.items():
        if content[begin : begin + len(mark)] == mark:
            at = content.find(mark, begin + 1)
            while at > 0 and not rest.match(content[at + len(mark) : at + len(mark) + LONGEST]):
                at = content.find(mark, at + 1)
            if at > 0:
                raise ValueError(f"another file of its format begins at byte {at - lead}")
