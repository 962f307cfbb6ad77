"""PNG images of a known size. Nothing is decompressed before the size is checked."""

import io
import struct
import warnings

import numpy as np
from PIL import Image

from normlab.errors import UserError

_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def pixels(name: str, content: bytes, width: int, height: int) -> np.ndarray:
    """The pixels, uint8 [height, width, 3].

    Args:
      name: the image's name in messages.

    Raises:
      UserError: it is not a PNG, has another size, is not RGB, or is damaged.
    """
    # Check the size first: a small file may claim an image that fills the memory.
    if not content.startswith(_START + struct.pack(">II", width, height)):
        raise UserError(f"{name} is not a PNG of {width} x {height} pixels")
    try:
        with (
            warnings.catch_warnings(action="error"),  # of decompression bombs
            Image.open(io.BytesIO(content), formats=["PNG"]) as picture,
        ):
            # Check again, because a second header may claim another size.
            if picture.size != (width, height):
                raise UserError(f"{name} is not a PNG of {width} x {height} pixels")
            if picture.mode != "RGB":
                raise UserError(f"{name} is {picture.mode}, not RGB")
            return np.asarray(picture)
    except UserError:
        raise
    # Pillow reports a broken PNG, or a decompression bomb in one, by many kinds of
    # errors.
    except Exception as error:
        raise UserError(f"{name} is a damaged PNG ({error})") from error
