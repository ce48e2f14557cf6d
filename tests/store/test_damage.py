"""A flipped bit, wherever it is, costs the clip that it hit, and no value is ever wrong."""

import json
import re
import shutil
import warnings

import numpy as np
import pytest

from sklearn_ser._store import Store, _files, _packs
from sklearn_ser.exceptions import StoreWarning

N, SHAPE = 256, (3, 2)
RECORDS = np.random.default_rng(0).standard_normal((N, *SHAPE), dtype=np.float32)
# In four folders, as each takes a millisecond to remove.
KEYS = [f"{i % 4:02x}{i * 0x9E3779B97F4A7C15F39CC0605CEDC8 % 2**120:030x}" for i in range(N)]
HEADER_BITS = 1536  # 192 bytes


def open_again(folder):
    """Return the records as another process sees them."""
    _packs.packs_in.cache_clear()
    _files.recent.clear()
    _files._warned.clear()
    return Store(folder).records("test", {"n": 1})


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """Return the content of each file of a pack of 256 clips, by its suffix, and its name."""
    records = Store(tmp_path_factory.mktemp("pack")).records("test", {"n": 1})
    for key, record in zip(KEYS, RECORDS, strict=True):
        records.write(key, record)
    records.pack()
    [npy] = records.folder.glob("packs/*.npy")
    assert not list(records.folder.glob("??/*.npy"))
    files = {suffix: npy.with_suffix(suffix).read_bytes() for suffix in (".npy", ".keys")}
    assert re.match(rb".*?\n", files[".npy"], re.DOTALL).end() * 8 == HEADER_BITS
    return npy.stem, files


def clips_hit(suffix, bit, files):
    """Return how many clips a flipped bit may cost."""
    position = bit // 8 - HEADER_BITS // 8
    if suffix == ".keys":
        return 1
    if position < 0:
        return 0
    row = len(files[".npy"][HEADER_BITS // 8 :]) // SHAPE[0]
    return 1 if position % row < row - 4 else 0  # a value, or a checksum of a row


def check_flip(folder, pack, suffix, bit, rows, writable=True):
    """Flip one bit, read all, and return how many clips are lost more than were hit."""
    name, files = pack
    shutil.rmtree(folder, ignore_errors=True)
    packs = folder / Store(folder).records("test", {"n": 1}).folder.name / "packs"
    packs.mkdir(parents=True)
    for each, content in files.items():
        damaged = bytearray(content)
        if each == suffix:
            damaged[bit // 8] ^= 1 << bit % 8
        (packs / f"{name}{each}").write_bytes(damaged)
    seen = open_again(folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = seen.read_all(KEYS, rows)
        again = seen.read_all(KEYS, rows)
        one = seen.read(KEYS[bit % N], rows)
    wanted = RECORDS if rows is None else RECORDS[:, rows]
    for values in (found, again):
        for record, expected in zip(values, wanted, strict=True):
            assert record is None or np.array_equal(record, expected)
    assert (one is None) == (found[bit % N] is None)
    lost = sum(record is None for record in found)
    assert lost == sum(record is None for record in again)
    assert {w.category for w in caught} <= {StoreWarning}
    if lost or suffix == ".keys" or bit < HEADER_BITS:
        assert "damaged" in str(caught[0].message)
    assert len(caught) <= 1
    assert lost <= clips_hit(suffix, bit, files), (suffix, bit)
    assert list(packs.glob("*.npy")) == [] or not caught or not writable
    return lost


def bits_elsewhere(pack, n):
    """Return bits of the rows and of the list, drawn in proportion to their sizes."""
    n_rows, n_list = (8 * len(pack[1][suffix]) for suffix in (".npy", ".keys"))
    drawn = np.random.default_rng(1).integers(HEADER_BITS, n_rows + n_list, n)
    return [(".npy", bit) if bit < n_rows else (".keys", bit - n_rows) for bit in drawn.tolist()]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("rows", [None, [1]])
def test_a_sample_of_flipped_bits_costs_no_more_than_the_clips_hit(rows, pack, tmp_path):
    flips = [(".npy", bit) for bit in range(0, HEADER_BITS, 41)] + bits_elsewhere(pack, 40)
    for suffix, bit in flips:
        check_flip(tmp_path / "store", pack, suffix, bit, rows)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_flipped_bits_cost_no_more_than_the_clips_hit(part, pack, tmp_path):
    flips = [(".npy", bit) for bit in range(HEADER_BITS)] + bits_elsewhere(pack, 4000)
    lost = [
        check_flip(tmp_path / "store", pack, suffix, bit, [None, [1]][bit % 2])
        for suffix, bit in flips[part::8]
    ]
    print(f"{len(lost)} flips, {sum(lost)} clips lost")


@pytest.mark.parametrize(("suffix", "bit"), [(".npy", 8 * 61), (".npy", 8 * 700), (".keys", 999)])
def test_sound_clips_are_read_where_nothing_can_be_written(
    suffix, bit, pack, tmp_path, monkeypatch
):
    def refuse(*args, **kwargs):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(_packs, "write_atomically", refuse)
    monkeypatch.setattr(_packs.Packs, "_drop", refuse)
    check_flip(tmp_path / "store", pack, suffix, bit, [0, 2], writable=False)


@pytest.mark.parametrize("content", [None, b"", b"\0" * 5000])
def test_a_list_that_is_gone_is_said_and_costs_its_pack(content, pack, tmp_path):
    folder = tmp_path / "store"
    check_flip(folder, pack, None, 10**6, None)
    [listed] = folder.rglob("*.keys")
    listed.unlink() if content is None else listed.write_bytes(content)
    seen = open_again(folder)
    with pytest.warns(StoreWarning, match="list of clips"):
        assert seen.read_all(KEYS) == [None] * N
    assert not list(folder.rglob("packs/*.npy"))


def test_packs_of_version_0_1_lose_the_clip_that_was_hit(pack, tmp_path, monkeypatch):
    """Their lists have checksums without the keys."""
    monkeypatch.setattr(
        _packs, "_checksum", lambda key, record: _packs.zlib.crc32(record.tobytes())
    )
    records = Store(tmp_path / "old").records("test", {"n": 1})
    for key, record in zip(KEYS, RECORDS, strict=True):
        records.write(key, record)
    records.pack()
    monkeypatch.undo()
    [npy] = records.folder.glob("packs/*.npy")
    old = npy.stem, {suffix: npy.with_suffix(suffix).read_bytes() for suffix in (".npy", ".keys")}
    assert old[0] != pack[0]
    check_flip(tmp_path / "store", old, None, 10**6, [2, 0])
    for bit in (*range(5, HEADER_BITS, 301), HEADER_BITS + 500):
        check_flip(tmp_path / "store", old, ".npy", bit, None)


@pytest.mark.parametrize("damage", ["a bit", "cut", "emptied", "removed", "a list", "nested"])
def test_a_damaged_settings_file_hides_no_records(damage, tmp_path):
    records = Store(tmp_path).records("mfcc", {"rate": 8000})
    records.write(KEYS[0], RECORDS[0])
    described = records.folder / "settings.json"
    sound = described.read_bytes()
    described.write_bytes(
        {
            "a bit": sound.replace(b"8000", b"9000"),
            "cut": sound[:-3],
            "a list": b"[]",
            "nested": b"[" * 10**5,
        }.get(damage, b"")
    )
    if damage == "removed":
        described.unlink()
    assert Store(tmp_path).size()[0] == 1
    [found] = Store(tmp_path).list()
    assert (found.features, found.settings) == ("mfcc", {})
    records = Store(tmp_path).records("mfcc", {"rate": 8000})  # who writes to it mends it
    records.write(KEYS[1], RECORDS[1])
    assert Store(tmp_path).list()[0].settings == {"rate": 8000}
    assert json.loads(described.read_text())["features"] == "mfcc"
    described.write_bytes(b"?")
    Store(tmp_path).clear()
    assert Store(tmp_path).size() == (0, 0)
    assert list(tmp_path.iterdir()) == []


def test_folders_of_others_that_are_named_like_ours_are_left_alone(tmp_path):
    folder = tmp_path / "data-0123456789abcdef"
    for name in ("settings.json", f"ab/{'0' * 30}.npy", f"packs/{'0' * 32}.npy"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"mine")
    assert Store(tmp_path).list() == []
    Store(tmp_path).clear()
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 3
