"""Pictures too large for memory: TIFF files that are read and written piece by piece.

tifffile knows the format; the extra `huge` installs it. Between reading and writing pixels lie in
plain files, of which only what is asked for is in memory.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from nst_jax.files.disk import FilePath, quoted, reason, replacing, reworded

_TILE = 512  # pixels a side, of the TIFF files that are written
_ALWAYS_BIG = 2**31  # bytes from which on a file's places may not fit 32 bits


class PixelFile:
    """RGB pixels of 8 bits in a plain file, row by row.

    It takes the place of an array (height, width, 3) in [0, 1] where one is cut: take, first of
    rows and then of columns, reads those alone.

    Attributes:
        shape: Height, width and 3.
    """

    def __init__(self, path: Path, *, height: int, width: int, offset: int = 0) -> None:
        """Refer to a file that exists.

        Args:
            path: The file.
            height: Of the picture, in pixels.
            width: Of the picture.
            offset: Where in the file its first pixel is, in bytes.
        """
        self.shape = (height, width, 3)
        self._path, self._offset = path, offset

    @classmethod
    def create(cls, path: Path, *, height: int, width: int) -> "PixelFile":
        """Return a black picture in a new file.

        Raises:
            OSError: The file cannot be made, or the disk has no room for it.
        """
        with open(path, "wb") as file:
            zeros = bytes(width * 3)
            for _ in range(height):  # a file with holes would fail when it is too late
                file.write(zeros)
        return cls(path, height=height, width=width)

    def take(self, rows: Int[np.ndarray, " rows"], axis: int) -> "PixelRows":
        """Return rows, of which columns can be taken.

        Args:
            rows: Their numbers.
            axis: 0.
        """
        assert axis == 0
        return PixelRows(self._pixels("r")[rows])

    def rows(self, begin: int, end: int) -> UInt8[np.ndarray, "rows width 3"]:
        """Return rows as they are stored."""
        return np.array(self._pixels("r")[begin:end])

    def write(self, top: int, left: int, pixels: Float[np.ndarray, "rows columns 3"]) -> None:
        """Write a rectangle of pixels in [0, 1], rounded to 8 bits."""
        height, width = pixels.shape[:2]
        whole = self._pixels("r+")
        whole[top : top + height, left : left + width] = np.rint(255 * pixels)
        whole.flush()

    def put(self, top: int, left: int, pixels: UInt8[np.ndarray, "rows columns 3"]) -> None:
        """Write a rectangle of pixels as they are, but for what lies beyond the picture."""
        whole = self._pixels("r+")
        there = whole[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        there[...] = pixels[: there.shape[0], : there.shape[1]]
        whole.flush()

    def _pixels(self, mode: Any) -> np.memmap:
        # Mapped anew each time: what stays mapped counts as this process's memory.
        return np.memmap(self._path, np.uint8, mode, offset=self._offset, shape=self.shape)


class PixelRows:
    """Some rows of a PixelFile."""

    def __init__(self, pixels: UInt8[np.ndarray, "rows width 3"]) -> None:
        """Hold rows in memory, a byte a number."""
        self._pixels = pixels

    def take(self, columns: Int[np.ndarray, " columns"], axis: int) -> Float[np.ndarray, "_ _ 3"]:
        """Return columns of the rows, float32 in [0, 1].

        Args:
            columns: Their numbers.
            axis: 1.
        """
        assert axis == 1
        return self._pixels.take(columns, axis=1).astype(np.float32) / np.float32(255)


def open_tiff(path: FilePath, *, scratch: Path) -> PixelFile:
    """Return the first picture of a TIFF file without reading it into memory.

    A file whose pixels lie uncompressed in one piece is used as it is. Another one is decoded piece
    by piece into a plain file.

    Args:
        path: RGB of 8 bits.
        scratch: The plain file, which is made where it is needed.

    Raises:
        ValueError: It is no TIFF file, or of another kind of pixels, or damaged.
        OSError: A file cannot be read or written.
        ModuleNotFoundError: tifffile is missing.
    """
    tifffile = _library()
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            if page.dtype != np.uint8 or page.axes != "YXS" or page.shape[2] != 3:
                raise ValueError(
                    f"cannot read {quoted(path)} by strips: wanted RGB of 8 bits, got "
                    f"{page.dtype} of shape {page.shape}; convert it first"
                )
            height, width = page.shape[:2]
            if page.is_contiguous and page.compression == 1:
                size = {"height": height, "width": width}
                return PixelFile(Path(path), **size, offset=page.dataoffsets[0])
            pixels = PixelFile.create(scratch, height=height, width=width)
            for data, (_, _, top, left, _), _ in page.segments():
                if data is not None:
                    pixels.put(top, left, data.reshape(data.shape[-3:]))
            return pixels
    except tifffile.TiffFileError as error:
        raise ValueError(
            f"cannot read {quoted(path)} by strips: {reason(error)}; convert it to TIFF"
        ) from error
    except OSError as error:
        raise reworded(error, f"cannot read {quoted(path)}", "check its name") from error


def save_tiff(path: FilePath, pixels: PixelFile, *, overwrite: bool = False) -> None:
    """Write a picture as a TIFF file of compressed tiles, whole or not at all.

    Args:
        path: The file.
        pixels: The picture.
        overwrite: Whether a file may be replaced.

    Raises:
        FileExistsError: It exists.
        OSError: It cannot be written.
        ModuleNotFoundError: tifffile is missing.
    """
    tifffile = _library()
    with replacing(path, overwrite=overwrite) as temporary:
        tifffile.imwrite(
            temporary,
            _tiles(pixels),
            shape=pixels.shape,
            dtype=np.uint8,
            tile=(_TILE, _TILE),
            photometric="rgb",
            compression="zlib",
            bigtiff=pixels.shape[0] * pixels.shape[1] * 3 >= _ALWAYS_BIG,
        )


def _tiles(pixels: PixelFile) -> Iterator[np.ndarray]:
    height, width, _ = pixels.shape
    for top in range(0, height, _TILE):
        band = pixels.rows(top, min(top + _TILE, height))
        band = np.pad(band, ((0, _TILE - len(band)), (0, -width % _TILE), (0, 0)))
        for left in range(0, width, _TILE):
            yield np.ascontiguousarray(band[:, left : left + _TILE])


def _library() -> Any:
    try:
        return importlib.import_module("tifffile")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "strips: wanted tifffile, which is not installed; pip install 'tifffile>=2025.1'"
        ) from error
