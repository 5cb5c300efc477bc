"""A server on this machine, and files of made weights; nothing here reaches the internet."""

import hashlib
import http.server
import shutil
import sys
import threading
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from vgg_oracle import random_arrays, relative_error, torch_state, write_keras

from nst_jax import files
from nst_jax.encoders.preprocessing import CAFFE
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.weights.conversion import ConverterMissingError
from nst_jax.encoders.weights.fetching import convert, fetch
from nst_jax.encoders.weights.pretrained import describe_weights, list_weights, load_encoder, verify


class CountingHandler(http.server.SimpleHTTPRequestHandler):
    requests = 0

    def do_GET(self):
        CountingHandler.requests += 1
        super().do_GET()

    def log_message(self, format, *args):
        pass


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("NST_JAX_CACHE", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)  # pytest would keep three sessions of 80 MB files


@pytest.fixture
def served(tmp_path):
    """A folder, and the address at which a server gives out what lies in it."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(CountingHandler, directory=str(folder))
    CountingHandler.requests = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
    shutil.rmtree(folder)


def cached_files(cache):
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_fetch_converts_once_and_keeps_nothing_else(cache, served, photograph):
    folder, address = served
    arrays = random_arrays("vgg19", scale=1 / 128)
    write_keras(folder / "notop.h5", arrays)
    sha256 = hashlib.sha256((folder / "notop.h5").read_bytes()).hexdigest()
    progress = []
    path = fetch(
        "vgg19-keras",
        url=f"{address}/notop.h5",
        sha256=sha256,
        on_progress=lambda done, total: progress.append((done, total)),
    )
    size = (folder / "notop.h5").stat().st_size
    assert progress[0] == (0, size)
    assert progress[-1] == (size, size)
    assert cached_files(cache) == ["vgg19-keras.safetensors"]

    assert fetch("vgg19-keras") == path  # it is there: neither the publisher nor anyone is asked
    assert CountingHandler.requests == 1

    header = verify("vgg19-keras")
    assert header["source_sha256"] == sha256
    assert header["source_file"] == "notop.h5"
    assert header["source_check"] == "SHA-256 given by the user"
    assert {row.name: row.location for row in list_weights()}["vgg19-keras"] == str(path)
    assert describe_weights("vgg19")["weights"] == "vgg19-keras"  # VGG-19's default from now on

    encoder, params = load_encoder("vgg19")
    direct = VGG("vgg19", CAFFE).apply(
        {"params": jax.tree.map(jnp.asarray, arrays)}, photograph, layers=("relu2_1",)
    )
    ours = encoder.apply(params, photograph, layers=("relu2_1",))
    assert relative_error(ours["relu2_1"], direct["relu2_1"]) < 1e-6


@pytest.mark.parametrize(
    ("sha256", "kind"), [(None, "MD5"), ("0123456789abcdef" * 4, "SHA-256")], ids=["MD5", "SHA-256"]
)
def test_another_content_is_refused_and_goes(cache, served, sha256, kind):
    folder, address = served
    (folder / "notop.h5").write_bytes(b"\x89HDF\r\n\x1a\n and something else")
    with pytest.raises(files.HashMismatchError, match=f"notop.h5 has {kind} .* was expected"):
        fetch("vgg16-keras", url=f"{address}/notop.h5", sha256=sha256)
    assert cached_files(cache) == []


def test_a_short_hash_is_warned_of_or_refused(cache, served):
    folder, address = served
    data = b"\x89HDF\r\n\x1a\n and nothing behind"
    (folder / "notop.h5").write_bytes(data)
    digits = hashlib.sha256(data).hexdigest()
    for few in (8, 15):
        with pytest.raises(ValueError, match=r"sha256: wanted 64 hexadecimal digits, or at least"):
            fetch("vgg16-keras", url=f"{address}/notop.h5", sha256=digits[:few])
    assert CountingHandler.requests == 0
    with (
        pytest.warns(UserWarning, match=r"sha256: 16 digits of 64 are compared"),
        pytest.raises(ValueError, match="a broken HDF5 file"),  # the hash itself was right
    ):
        fetch("vgg16-keras", url=f"{address}/notop.h5", sha256=digits[:16])


def test_a_right_hash_of_a_wrong_content_leaves_nothing(cache, served):
    folder, address = served
    data = b"\x89HDF\r\n\x1a\n and nothing behind"
    (folder / "notop.h5").write_bytes(data)
    with pytest.raises(ValueError, match="a broken HDF5 file"):
        fetch("vgg16-keras", url=f"{address}/notop.h5", sha256=hashlib.sha256(data).hexdigest())
    assert cached_files(cache) == []


def test_an_address_that_answers_nothing_is_an_error(cache, served):
    _, address = served
    with pytest.raises(files.DownloadError, match=r"missing\.h5: the server answered 404"):
        fetch("vgg16-keras", url=f"{address}/missing.h5")
    assert cached_files(cache) == []


def test_a_broken_file_in_the_cache_is_fetched_again(cache, served):
    folder, address = served
    broken = cache / "weights" / "vgg16-keras.safetensors"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"half a file")
    write_keras(folder / "notop.h5", random_arrays("vgg16"))
    sha256 = hashlib.sha256((folder / "notop.h5").read_bytes()).hexdigest()
    assert fetch("vgg16-keras", url=f"{address}/notop.h5", sha256=sha256) == broken
    assert verify("vgg16-keras")["source_sha256"] == sha256


def test_nothing_is_asked_of_the_network_before_all_else_is_right(cache, served, monkeypatch):
    _, address = served
    with pytest.raises(
        ValueError, match=r"vgg19-gatys: its publisher gives no hash .*--sha256 HASH"
    ):
        fetch("vgg19-gatys", url=f"{address}/vgg_conv.pth")
    with pytest.raises(
        ValueError, match="vgg16-lpips: nothing to fetch, it comes with the package"
    ):
        fetch("vgg16-lpips")
    with pytest.raises(ValueError, match=r"no set called 'vgg19'; choose from vgg16-lpips, "):
        fetch("vgg19")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        ConverterMissingError, match="h5py: needed to read weights in keras's format"
    ):
        fetch("vgg19-keras", url=f"{address}/notop.h5")
    assert CountingHandler.requests == 0


def test_convert_recognises_and_refuses(tmp_path):
    source, target = tmp_path / "mine.h5", tmp_path / "mine.safetensors"
    arrays = random_arrays("vgg16")
    write_keras(source, arrays)
    assert convert(source, to=target) == target
    header = describe_weights("vgg16", weights=target)
    assert header["weights"] == "vgg16-keras"
    assert header["source_check"] == "not checked"
    assert header["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()

    before = target.stat().st_mtime_ns
    with pytest.raises(FileExistsError, match=r"mine\.safetensors' exists"):
        convert(source, to=target)
    with pytest.raises(ValueError, match="holds vgg16 in keras's layout; vgg19-keras is vgg19 in"):
        convert(source, to=target, weights="vgg19-keras", overwrite=True)
    with pytest.raises(ValueError, match="no set called 'vgg16-caffe'"):
        convert(source, to=target, weights="vgg16-caffe", overwrite=True)
    with pytest.raises(ValueError, match="safetensors"):
        convert(source, to=tmp_path / "mine.npz")
    with pytest.raises(FileNotFoundError, match=r"cannot read .*none\.h5"):
        convert(tmp_path / "none.h5", to=target, overwrite=True)
    assert target.stat().st_mtime_ns == before
    convert(source, to=target, overwrite=True)
    assert target.stat().st_mtime_ns > before
    source.unlink()
    target.unlink()


@pytest.mark.oracle
def test_a_gatys_file_is_fetched_once_its_hash_is_given(cache, served):
    torch = pytest.importorskip("torch")
    folder, address = served
    arrays = random_arrays("vgg19")
    torch.save(torch_state(arrays, "gatys"), folder / "vgg_conv.pth")
    sha256 = hashlib.sha256((folder / "vgg_conv.pth").read_bytes()).hexdigest()
    fetch("vgg19-gatys", url=f"{address}/vgg_conv.pth", sha256=sha256)
    assert cached_files(cache) == ["vgg19-gatys.safetensors"]
    _, params = load_encoder("vgg19")
    np.testing.assert_array_equal(
        params["params"]["conv5_4"]["kernel"], arrays["conv5_4"]["kernel"]
    )
    (cache / "weights" / "vgg19-gatys.safetensors").unlink()
    fetch("vgg19-gatys", url=f"{address}/vgg_conv.pth", allow_unverified=True)
    assert verify("vgg19-gatys")["source_check"] == "not checked"
    (cache / "weights" / "vgg19-gatys.safetensors").unlink()
