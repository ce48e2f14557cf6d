"""Which files hold sound, by their names."""

from __future__ import annotations

import importlib.util

__all__ = ["SOUND_SUFFIXES", "readable_suffixes"]

_SUFFIXES = {
    # Formats without loss come first: of copies of a clip, the first in this order is taken.
    "libsndfile": ".wav .wave .bwf .flac .aif .aiff .aifc .au .snd .w64 .rf64 .caf .caff .sph "
    ".nist .wv1 .wv2 .ircam .sf .paf .pvf .avr .svx .8svx .wve .sds .opus .ogg .oga .mp3 .mpga "
    ".mpega .mp2 .m2a .mp1",
    "PyAV": ".m4a .m4b .m4r .m4p .mp4a .mka .mp4 .m4v .mov .qt .qta .mkv .mk3d .webm .weba .3gp "
    ".3gpp .3gpp2 .3ga .3g2 .f4a .f4b .f4v .isma .ismv .aac .adts .wma .wm .asf .wmv .amr .awb "
    ".flv .spx .avi .tta .wv .voc",
    # The last lines are samples without a header.
    "nothing": ".722 .726 .aa .aa3 .aax .ac3 .ac4 .adx .alac .ape .aptx .at3 .atrac .c2 .dff .ds2 "
    ".dsf .dss .dts .dtshd .dvf .eac3 .ec3 .g722 .g723 .g723_1 .g726 .g729 .gsm .ilbc .lbc .loas "
    ".m2ts .mlp .mpa .mpc .mpe .mpeg .mpg .msv .mts .ofr .ofs .ogv .ogx .oma .omg .qcp .ra .rm "
    ".rmvb .sbc .sd2 .shn .tak .thd .vob .vqf .xi "
    ".al .alaw .f32 .f64 .l16 .l24 .la .lpcm .lu .pcm .raw .s16 .s24 .s32 .s8 .sb .sl .sln .sw "
    ".u16 .u8 .ub .ul .ulaw .uw .vox",
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
