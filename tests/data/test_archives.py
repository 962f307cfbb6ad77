"""The three kinds are read alike; anything else is refused before it can do harm."""

import gzip
import io
import json
import pickle
import struct
import tarfile
import zlib

import numpy as np
import pytest

from normlab.data.archives import KINDS, read_archive
from normlab.data.spec import CIFAR10
from normlab.errors import UserError

READABLE = ("binary", "python2", "python3", "sheets")


def refusal(path, spec) -> str:
    with pytest.raises(UserError) as caught:
        read_archive(path, spec)
    message = str(caught.value)
    assert str(path) in message
    return message


@pytest.mark.parametrize("kind", READABLE)
def test_every_kind_gives_the_same_arrays(fake, kind):
    arrays = read_archive(fake.archive(kind), fake.spec)
    assert arrays.keys() == fake.arrays.keys()
    for name, array in fake.arrays.items():
        assert arrays[name].dtype == np.uint8
        np.testing.assert_array_equal(arrays[name], array)


def test_the_python2_fake_is_what_python_itself_reads(fake):
    content = fake.members("python2")["cifar-10-batches-py/test_batch"]
    batch = pickle.loads(content, encoding="bytes")
    assert batch[b"labels"] == fake.arrays["test_y"].tolist()
    assert batch[b"data"].shape == (fake.spec.rows, 3072)


def test_the_kinds_have_no_member_in_common():
    names = [name for kind in KINDS["cifar"] for name in kind.members(CIFAR10)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", READABLE)
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.999])
def test_truncated(fake, kind, keep):
    path = fake.archive(kind)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    refusal(path, fake.spec)


def test_truncated_before_compression(fake):
    path = fake.archive()
    data = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(data[: len(data) // 2]))
    refusal(path, fake.spec)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_one_altered_byte(fake, place):
    path = fake.archive()
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 0xFF
    path.write_bytes(bytes(data))
    refusal(path, fake.spec)


def test_altered_checksum(fake):
    path = fake.archive()
    data = bytearray(path.read_bytes())
    data[-8] ^= 1  # the gzip trailer: CRC32, then the length
    path.write_bytes(bytes(data))
    assert "CRC" in refusal(path, fake.spec)


@pytest.mark.parametrize("position", [0, 1], ids=["label", "pixel"])
def test_well_formed_but_other_data(fake, position):
    name = "cifar-10-batches-bin/data_batch_3.bin"
    content = bytearray(fake.members("binary")[name])
    content[position] ^= 1
    path = fake.archive(edit={name: bytes(content)})
    assert "sha256" in refusal(path, fake.spec)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", gzip.compress(b"hello", mtime=0), b"PK\x03\x04" + bytes(100)],
)
def test_no_archive_at_all(fake, tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    refusal(path, fake.spec)


def test_not_there_and_a_folder(fake, tmp_path):
    assert "no such file" in refusal(tmp_path / "nowhere.tgz", fake.spec)
    assert "a folder with the files of none" in refusal(tmp_path, fake.spec)


def test_another_archive(fake):
    path = fake.folder / "other.tgz"
    info = tarfile.TarInfo("package/index.js")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(info)
    path.write_bytes(buffer.getvalue())
    assert "cifar-10-python.tar.gz" in refusal(path, fake.spec)


def test_a_mixture(fake):
    path = fake.archive("binary", edit=fake.members("sheets"))
    assert "several archives" in refusal(path, fake.spec)


def test_a_missing_member(fake):
    members = fake.members("binary")
    del members["cifar-10-batches-bin/data_batch_2.bin"]
    fake.members = lambda kind: members
    assert "it lacks cifar-10-batches-bin/data_batch_2.bin" in refusal(
        fake.archive(), fake.spec
    )


def plain(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def special(kind: bytes, name: str = "package/odd") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info, b""


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        (plain("../outside"), "leads out"),
        (plain("package/../../outside"), "leads out"),
        (plain("/tmp/outside"), "leads out"),
        (special(tarfile.SYMTYPE), "not a regular file"),
        (special(tarfile.LNKTYPE), "not a regular file"),
        (special(tarfile.CHRTYPE), "not a regular file"),
        (special(tarfile.FIFOTYPE), "not a regular file"),
        (special(tarfile.SYMTYPE, "cifar-10-batches-bin/data_batch_1.bin"), "regular"),
        (plain("cifar-10-batches-bin/test_batch.bin"), "twice"),
    ],
)
def test_members_that_have_no_business_there(fake, extra, word):
    assert word in refusal(fake.archive(extra=(extra,)), fake.spec)


def test_bomb_of_one_member(fake):
    bomb = plain("cifar-10-batches-bin/readme.html", bytes(10_000_000))
    path = fake.archive(extra=(bomb,))
    assert path.stat().st_size < 200_000
    assert "far too large" in refusal(path, fake.spec)


def test_bomb_of_many_members(fake):
    extra = tuple(plain(f"package/{number}", bytes(60_000)) for number in range(200))
    message = refusal(fake.archive(extra=extra), fake.spec)
    assert "far more than the published" in message


def test_bomb_behind_the_end_of_the_tar(fake):
    path = fake.archive()
    tar = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(tar + bytes(10_000_000)))
    assert "far more than the published" in refusal(path, fake.spec)


def test_bomb_in_a_header(fake):
    info, content = plain("package/x")
    info.pax_headers = {"comment": "x" * 10_000_000}
    assert "far more" in refusal(fake.archive(extra=((info, content),)), fake.spec)


def test_a_png_that_claims_to_be_huge(fake):
    name = "package/test_batch.png"
    content = bytearray(fake.members("sheets")[name])
    content[16:24] = struct.pack(">II", 100_000, 100_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path = fake.archive("sheets", edit={name: bytes(content)})
    assert "not a PNG of 1024 x 4" in refusal(path, fake.spec)


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_a_sheet_that_is_no_png(fake, content):
    path = fake.archive("sheets", edit={"package/test_batch.png": content})
    assert "not a PNG" in refusal(path, fake.spec)


def test_a_damaged_png(fake):
    name = "package/test_batch.png"
    content = fake.members("sheets")[name]
    path = fake.archive("sheets", edit={name: content[: len(content) // 2]})
    assert "damaged PNG" in refusal(path, fake.spec)


@pytest.mark.parametrize(
    "labels", [b"[1, 2", b"{}", b'["a"]', b"[300, 1, 1, 1]", b"[1]", b"[" * 60_000]
)
def test_label_lists_that_are_none(fake, labels):
    path = fake.archive("sheets", edit={"package/test_lables.json": labels})
    assert "test_lables.json" in refusal(path, fake.spec)


class Evil:
    """Pickles to a call that makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_malicious_pickle_is_not_run(fake, tmp_path):
    trace = tmp_path / "trace"
    content = pickle.dumps({b"data": Evil(trace), b"labels": []}, protocol=2)
    pickle.loads(content)[b"data"].close()
    assert trace.exists()  # it would work where pickles are trusted
    trace.unlink()
    edit = {"cifar-10-batches-py/data_batch_1": content}
    message = refusal(fake.archive("python2", edit=edit), fake.spec)
    assert "io.open, which is refused" in message
    assert not trace.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        pickle.dumps([1, 2], protocol=2),
        pickle.dumps({b"data": 1, b"labels": [1, 2, 3, 4]}, protocol=2),
        pickle.dumps({b"data": np.zeros((4, 3072)), b"labels": [0] * 4}, protocol=2),
        pickle.dumps({b"data": np.array([len]), b"labels": [0] * 4}, protocol=2),
        b"\x80\x02cnumpy\nndarray\n(K\x01K\x02tR.",
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.",
    ],
)
def test_pickles_of_other_things(fake, content):
    edit = {"cifar-10-batches-py/test_batch": content}
    refusal(fake.archive("python2", edit=edit), fake.spec)


@pytest.mark.parametrize("labels", [[1, 2, 3], [1, 2, 3, 999], [1, 2, 3, "4"]])
def test_pickled_labels_that_are_none(fake, labels):
    data = np.zeros((fake.spec.rows, 3072), np.uint8)
    content = pickle.dumps({b"data": data, b"labels": labels}, protocol=2)
    edit = {"cifar-10-batches-py/test_batch": content}
    assert "labels" in refusal(fake.archive("python2", edit=edit), fake.spec)


def test_sheets_of_json_floats_are_other_data(fake):
    labels = json.dumps([9.5, 9.5, 9.5, 9.5]).encode()
    path = fake.archive("sheets", edit={"package/test_lables.json": labels})
    refusal(path, fake.spec)
