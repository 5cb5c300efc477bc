"""`nst-jax app`: the web page, on this machine unless it is told otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from nst_jax.app.requirements import require_gradio
from nst_jax.app.server import LOCAL, serve
from nst_jax.cli.environment import check_device, describe_device, keep_compiled_programs
from nst_jax.cli.shared_options import parse

_DESCRIPTION = """\
Open a web page to paint on: any painting, optimised pixels, regions, all styles, clips.

Examples:
  nst-jax app
  nst-jax app --port 8000

Only this machine can reach the page. --host 0.0.0.0 lets others in: there is no password, all
share one queue, and what they send is kept until they leave.

It needs one package more: pip install 'gradio>=6.31,<7'"""


@dataclass(frozen=True)
class App:
    """Open a web page to paint on."""

    host: Annotated[str, arg(metavar="ADDRESS")] = LOCAL
    """The address to listen on."""
    port: Annotated[int, arg(metavar="N")] = 7860
    """The port; 0 for any that is free."""


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax app` say and return the exit status."""
    options = parse(App, arguments, command="app", description=_DESCRIPTION)
    if not 0 <= options.port <= 65535:
        raise ValueError(f"port: wanted 0 to 65535, got {options.port}")
    require_gradio()
    check_device()
    keep_compiled_programs()
    print(describe_device(), flush=True)
    serve(
        host=options.host,
        port=options.port,
        on_start=lambda address: print(f"open {address}; Ctrl-C ends it", flush=True),
    )
    return 0
