"""python -m normlab.data: what it prints, and its mistakes in one line."""

import subprocess
import sys

import pytest

from normlab.data import __main__ as command
from tests.called import called


def call(*words: str) -> int:
    return called(command.main, command.flag_values(), words, "normlab.data")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing to do: pass --prepare=cifar10"),
        (("--archive=x.tgz",), "--archive goes with --prepare= (cifar10, fash"),
        (("--prepare=svhn",), "should be one of <cifar10|fashion_mnist|mnist>"),
        (("--prepair=cifar10",), "unknown flag --prepair; did you mean --prepare?"),
        (("cifar10",), "unexpected word 'cifar10'"),
    ],
)
def test_mistakes_in_one_line(capsys, words, message):
    assert call(*words) == 1
    out, err = capsys.readouterr()
    assert out == "" and message in err
    assert err.startswith("normlab.data: error: ") and err.count("\n") == 1


def test_info_of_an_empty_folder(tmp_path, capsys):
    assert call("--info", f"--data_dir={tmp_path}") == 0
    out = capsys.readouterr().out
    assert f"cifar10 is not prepared in {tmp_path / 'cifar10'}" in out
    assert "digits: comes with the package" in out
    assert "1500 for training, 297 for testing, 8x8x1 uint8" in out
    assert "gaussian_uniform: comes with the package" in out
    assert "1000 for training, 1000 for testing, 1x1x10 float32" in out
    assert out.count("(as published)") == 12


def test_info_finds_altered_data(fake, tmp_path):
    from normlab.data import cache, cifar10, info

    (tmp_path / "work").mkdir()
    cache.write(
        tmp_path / "cifar10", fake.arrays, fake.spec, "a test", tmp_path / "work"
    )

    def text(published=fake.spec.digests) -> str:
        return info.describe(
            tmp_path,
            {"cifar10": lambda root: cifar10.load(root, fake.spec)},
            {"cifar10": published},
        )

    assert f"cifar10: prepared in {tmp_path / 'cifar10'}" in text()
    assert "20 for training, 4 for testing, 32x32x3 uint8" in text()
    assert "airplane, automobile, bird" in text()
    assert text().count("(as published)") == 4
    assert text({**fake.spec.digests, "test_y": ""}).count("NOT AS PUBLISHED") == 1
    means = fake.arrays["train_x"].mean((0, 1, 2))
    assert " ".join(f"{mean:.3f}" for mean in means) + " by channel" in text()
    with (tmp_path / "cifar10" / "train_x.npy").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    assert "is damaged: train_x has sha256 " in text() and "to repair it" in text()


def test_a_refused_archive_from_the_shell(fake, tmp_path):
    path = fake.archive("sheets")
    path.write_bytes(path.read_bytes()[:-1000])
    root = tmp_path / "data"
    command = [sys.executable, "-m", "normlab.data", "--prepare=cifar10"]
    done = subprocess.run(
        [*command, f"--archive={path}", f"--data_dir={root}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"normlab.data: error: {path} is refused: ")
    assert done.stderr.count("\n") == 1
    assert not root.exists()
