"""Reading and writing files, and fetching them from the internet.

Files are written whole or not at all. Every error that a caller can cause is one line that names
the file, the reason and the way out. Of nst_jax it imports array_types alone.
"""

from nst_jax.files.disk import asset_path as asset_path
from nst_jax.files.disk import cache_dir as cache_dir
from nst_jax.files.disk import replacing as replacing
from nst_jax.files.disk import write_archive as write_archive
from nst_jax.files.disk import write_bytes as write_bytes
from nst_jax.files.downloads import DownloadError as DownloadError
from nst_jax.files.downloads import HashMismatchError as HashMismatchError
from nst_jax.files.downloads import download as download
from nst_jax.files.downloads import sha256_of as sha256_of
from nst_jax.files.folders import find_images as find_images
from nst_jax.files.folders import is_file as is_file
from nst_jax.files.folders import is_folder as is_folder
from nst_jax.files.folders import list_images as list_images
from nst_jax.files.folders import make_folder as make_folder
from nst_jax.files.folders import no_empty_folder as no_empty_folder
from nst_jax.files.folders import real_path as real_path
from nst_jax.files.folders import refuse_missing as refuse_missing
from nst_jax.files.folders import remove_file as remove_file
from nst_jax.files.folders import remove_folder as remove_folder
from nst_jax.files.folders import remove_if_empty as remove_if_empty
from nst_jax.files.folders import temporary_folder as temporary_folder
from nst_jax.files.huge_pictures import PixelFile as PixelFile
from nst_jax.files.huge_pictures import open_tiff as open_tiff
from nst_jax.files.huge_pictures import save_tiff as save_tiff
from nst_jax.files.locks import locked as locked
from nst_jax.files.pictures import IMAGE_EXTENSIONS as IMAGE_EXTENSIONS
from nst_jax.files.pictures import MAX_SIDE as MAX_SIDE
from nst_jax.files.pictures import MIN_SIDE as MIN_SIDE
from nst_jax.files.pictures import check_output as check_output
from nst_jax.files.pictures import decode_picture as decode_picture
from nst_jax.files.pictures import from_pillow as from_pillow
from nst_jax.files.pictures import load_image as load_image
from nst_jax.files.pictures import load_origin as load_origin
from nst_jax.files.pictures import load_pixels as load_pixels
from nst_jax.files.pictures import load_rgba as load_rgba
from nst_jax.files.pictures import rgba_from_pillow as rgba_from_pillow
from nst_jax.files.pictures import save_image as save_image
from nst_jax.files.pictures import to_pillow as to_pillow
from nst_jax.files.records import read_record as read_record
from nst_jax.files.records import strict_json as strict_json
from nst_jax.files.records import write_record as write_record
from nst_jax.files.saved_arrays import load_arrays as load_arrays
from nst_jax.files.saved_arrays import load_state as load_state
from nst_jax.files.saved_arrays import load_strings as load_strings
from nst_jax.files.saved_arrays import remove_state as remove_state
from nst_jax.files.saved_arrays import save_arrays as save_arrays
from nst_jax.files.saved_arrays import save_state as save_state
from nst_jax.files.scratch import scratch_arrays as scratch_arrays
