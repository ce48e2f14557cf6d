"""Which files hold sound, by their names."""

from __future__ import annotations

import importlib.util

__all__ = ["SOUND_SUFFIXES", "readable_suffixes"]

_SUFFIXES = {
    # Formats without loss come first: of copies of a clip, the first in this order is taken.
    "libsndfile": ".wav .wave .bwf .flac .aif .aiff .aifc .au .snd .w64 .rf64 .caf .sph .nist .wv1 "
    ".wv2 .ircam .sf .paf .pvf .avr .svx .8svx .wve .sds .opus .ogg .oga .mp3 .mp2 .mp1",
    "PyAV": ".m4a .m4b .m4r .mka .mp4 .m4v .mov .mkv .webm .3gp .3ga .3g2 .f4a .f4v .aac .adts "
    ".wma .asf .wmv .amr .awb .flv .spx .avi .tta .wv .voc",
    "nothing": ".ac3 .eac3 .alac .ape .dff .ds2 .dsf .dss .dts .gsm .m2ts .mpa .mpc .mpe "
    ".mpeg .mpg .mts .ogv .ogx .pcm .qcp .ra .raw .rm .rmvb .sd2 .shn .tak .vob .vox .xi",
}
#: What decodes files with a suffix of sound (lower case): "libsndfile", "PyAV" (the sound of
#: videos, too) or "nothing".
SOUND_SUFFIXES = {
    suffix: decoder for decoder, suffixes in _SUFFIXES.items() for suffix in suffixes.split()
}


def readable_suffixes() -> list[str]:
    """Return the suffixes of files that can be decoded here; PyAV need not be installed."""
    decoders = ["libsndfile", *(["PyAV"] if importlib.util.find_spec("av") else [])]
    return [suffix for suffix, decoder in SOUND_SUFFIXES.items() if decoder in decoders]
