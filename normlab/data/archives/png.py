"""PNG pictures of a known size: nothing is unpacked before the size is known."""

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
      name: what the picture is called in messages.

    Raises:
      UserError: it is no PNG, of another size or not RGB, or damaged.
    """
    # The size first: a small file may claim a picture that fills the memory.
    if not content.startswith(_START + struct.pack(">II", width, height)):
        raise UserError(f"{name} is no PNG of {width} x {height} pixels")
    try:
        with (
            warnings.catch_warnings(action="error"),  # of decompression bombs
            Image.open(io.BytesIO(content), formats=["PNG"]) as picture,
        ):
            # Again: a second header may claim another.
            if picture.size != (width, height):
                raise UserError(f"{name} is no PNG of {width} x {height} pixels")
            if picture.mode != "RGB":
                raise UserError(f"{name} is {picture.mode}, not RGB")
            return np.asarray(picture)
    except UserError:
        raise
    # Pillow reports a broken PNG, or one with a bomb in it, as one of many errors.
    except Exception as error:
        raise UserError(f"{name} is a damaged PNG ({error})") from error
