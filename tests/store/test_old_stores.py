"""Stores that version 0.1 wrote are read where the values are the same, and only there."""

import base64
import io
import zlib
from pathlib import Path

import numpy as np
import pytest

from sklearn_ser import MFCCEmbedder, SSLEmbedder
from sklearn_ser._models import BUNDLED, find_model, model_digest
from sklearn_ser.embedders import _mfcc, _ssl
from sklearn_ser.exceptions import StoreWarning

RATE = 16000
# Of the clip below, as version 0.1 called it.
KEY = "274d4684704d82667081ed1d093fe6a6"
MFCC_FOLDER, NANO_FOLDER = "mfcc-1ffb3bca4e3cc22e", "ssl-4236c02db64a7a60"
MFCC_SETTINGS = (
    '{"hop_length": 512, "librosa": "0.11.0", "n_fft": 2048, "n_mels": 8, "rate": 16000}'
)
NANO_SETTINGS = (
    '{"meaning": "layers before final norm, Whisper after; own frames only; 1", "revision": null, '
    '"weights": "fe950e50c8bc3f29b37eee73e60af228", "window": '
    '"40 s at once, else 30 s with 2 s of context; median of 6000 frames; 1"}'
)
# Its file of MFCCEmbedder(n_mels=8), byte by byte.
MFCC_FILE = zlib.decompress(
    base64.b85decode(
        b"c-oun7wQ`j$;eQ~P_3SlTAW;@Zlw^dp<b4lQ<_?=uA`uClV$>>G%R#9HG!0Ra#6Ce5m>y`L|ro$$VkgCDk)0"
        b"Li_b4gNd@V4OUx-w1&SAEBo?Fs`5K0%IzX+p3fKVGn`gy`WRm|mbkF2II9L9|0kin;2d=drJ|K2`)d6GW!UJ"
        b"`EY@FvS-aGKPAGSO3@2#EZ;eB>Ct5?}w_iC_v|J=}SoBa{nn&mn1Q!dXvv_|Be!y8VKgBp8(A2_7VcrfhfnF"
        b"CW?HXh)cSaCpl&sp>37Qu&Fqj()3%zJy_=HAN(zP8*xusLY`fp21S4@9p^JYd_DQ(SX4{m>D`zYZ?1cn*G=@"
        b"b$pH!@mz~{C4y}`>QnvPTws$(3P`^d(Gk*`?+m8_F7!ru{XM;eD5TI!o3@In(p29oMEs1?U{SRFEJIUZJckf"
        b"b0*f-a_<^jPoaL>G~HHPBXbkm+NsZNc&GW<<iz_r^y)_*xW}!y?_N^=zNp2<`}{g}_BFYF-g|2Q(!C~Jx_hU"
        b"%7`VQ!aI@F1J7&WmddSAAA<FjpZ#mnj>T@=mz5Q+8%U#>myxV9;Sxex4yMIx8^?m&JPP~`1H}{{}-kM~dz51"
        b"#9_xKj%?OC#a;=GGn<M$bVcw+rcHPOcV1FMax1HaAWSx2qE^w(Qo^^mg;lv-vwVTO@?i4wDI{0x2D(3@(u5p"
        b"#rX4a?5kOz-Nj`G4r6bq~+plJg?J_Q%RI?6p11y?6Uc<GqI%nf6vPuG?dBxqZ)hsk6J4>H{qfb%fY|kz8ua_"
        b"x7Cag9%G)-Fs)**3HYdebXjwYqVvi&D3=U*)~qE_OzeU-ECmawVP$lPU}P0d96fOm+tzvm(MEJW|`HQqii1m"
        b"zRxYB"
    )
)


@pytest.fixture
def clip():
    noise = (np.arange(6400) * 7919 % 2003 - 1001).astype(np.int16)
    return noise // (1 + np.arange(6400) // 400 % 4).astype(np.int16), RATE


@pytest.fixture
def never_computed(monkeypatch):
    for kind in (MFCCEmbedder, SSLEmbedder):
        monkeypatch.setattr(kind, "make_extractor", lambda self: pytest.fail("it is computed"))


def file_of(record, key):
    """Return the file of a record, by the description of the format and not by our code."""
    head = io.BytesIO()
    table = np.empty(len(record), [("values", "<f4", (record.shape[1],)), ("crc32", "<u4")])
    np.lib.format.write_array(head, table[:0], version=(1, 0))
    header = head.getvalue().replace(b"(0,)", f"({len(record)},)".encode())
    table["values"] = record
    # The header is padded to a multiple of 64 bytes; a longer number of rows takes of the padding.
    excess = len(header) - len(head.getvalue())
    header = header[: -excess - 1] + b"\n" if excess else header
    for row in table:
        row["crc32"] = zlib.crc32(header + key.encode() + row["values"].tobytes())
    return header + table.tobytes()


def write_store(root, folder, settings, content):
    path = root / folder / KEY[:2] / f"{KEY[2:]}.npy"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    (root / folder / "settings.json").write_text(settings)
    return path


def test_the_format_is_that_of_version_0_1():
    rows = np.lib.format.read_array(io.BytesIO(MFCC_FILE))
    assert file_of(rows["values"], KEY) == MFCC_FILE


def test_mfccs_of_version_0_1_are_read(clip, tmp_path, monkeypatch, never_computed):
    write_store(tmp_path, MFCC_FOLDER, MFCC_SETTINGS, MFCC_FILE)
    monkeypatch.setattr(_mfcc, "version_of", {"librosa": "0.11.0"}.get)
    embedder = MFCCEmbedder(n_mels=8, n_mfcc=8, cache=tmp_path)
    rows = np.lib.format.read_array(io.BytesIO(MFCC_FILE))["values"]
    assert np.array_equal(embedder.fit_transform([clip])[0], rows[:2].ravel())
    embedder.set_params(deltas=2, pooling="median", n_mfcc=3)
    assert np.array_equal(embedder.fit_transform([clip])[0], rows[4::5, :3].ravel())


def test_mfccs_of_version_0_1_are_those_of_today(clip, tmp_path, monkeypatch):
    """Then it is right to read them; to rounding, which differs between processors."""
    today = MFCCEmbedder(n_mels=8, n_mfcc=8, cache=None).fit_transform([clip])
    write_store(tmp_path, MFCC_FOLDER, MFCC_SETTINGS, MFCC_FILE)
    monkeypatch.setattr(_mfcc, "version_of", {"librosa": "0.11.0"}.get)
    stored = MFCCEmbedder(n_mels=8, n_mfcc=8, cache=tmp_path).fit_transform([clip])
    np.testing.assert_allclose(today, stored, rtol=1e-4, atol=1e-4)


def test_records_of_nano_by_version_0_1_are_read(clip, tmp_path, never_computed):
    n_layers = SSLEmbedder(BUNDLED[0]).n_layers
    record = np.random.default_rng(0).standard_normal((5 * (n_layers + 2), 256), dtype=np.float32)
    write_store(tmp_path, NANO_FOLDER, NANO_SETTINGS, file_of(record, KEY))
    assert model_digest(find_model(BUNDLED[0])) in NANO_SETTINGS
    for layer, pooling, rows in (
        ("all", "mean", range(0, 5 * (n_layers + 1), 5)),
        (2, ["std", "median"], [11, 14]),
        ("mean", "max", [5 * (n_layers + 1) + 3]),
    ):
        embedder = SSLEmbedder(BUNDLED[0], layer, pooling, cache=tmp_path)
        assert np.array_equal(embedder.fit_transform([clip])[0], record[list(rows)].ravel())


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (SSLEmbedder, {"window": 10.0}),
        (SSLEmbedder, {"window": None}),
        (SSLEmbedder, {"dtype": "bfloat16"}),
        (MFCCEmbedder, {"n_fft": 1024}),
        (MFCCEmbedder, {"rate": 8000}),
    ],
)
def test_other_settings_have_other_records(kind, settings, tmp_path):
    given = {"model": BUNDLED[0]} if kind is SSLEmbedder else {"n_mels": 8, "n_mfcc": 8}
    found = kind(**given, **settings, cache=tmp_path).records().folder.name
    assert found not in (MFCC_FOLDER, NANO_FOLDER)


@pytest.mark.parametrize("constant", ["RECORD_VERSION", "WINDOWS"])
def test_a_new_record_version_leaves_the_old_records_alone(constant, tmp_path, monkeypatch):
    """So it is where the values of a model have changed."""
    name = SSLEmbedder(BUNDLED[0], cache=tmp_path).records().folder.name
    assert name == NANO_FOLDER
    monkeypatch.setattr(_ssl, constant, getattr(_ssl, constant) + "; 2")
    assert SSLEmbedder(BUNDLED[0], cache=tmp_path).records().folder.name != NANO_FOLDER


def test_a_record_under_another_clips_key_is_computed_anew(clip, tmp_path, monkeypatch):
    """Rows that were written for one clip are never given for another."""
    monkeypatch.setattr(_mfcc, "version_of", {"librosa": "0.11.0"}.get)
    path = write_store(tmp_path, MFCC_FOLDER, MFCC_SETTINGS, MFCC_FILE)
    embedder = MFCCEmbedder(n_mels=8, n_mfcc=8, cache=tmp_path)
    other = (clip[0][::-1].copy(), RATE)
    place = embedder.records().path(embedder._clips([other])[0].digest())
    Path(place).parent.mkdir()
    path.rename(place)
    with pytest.warns(StoreWarning, match="damaged"):
        found = embedder.fit_transform([other])
    assert np.array_equal(found, embedder.set_params(cache=None).fit_transform([other]))
