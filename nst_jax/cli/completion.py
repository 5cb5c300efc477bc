"""`nst-jax completion`: a script by which a shell completes commands, options and files.

What there is to complete is read from each command's own help, so that nothing is listed twice.
"""

import contextlib
import importlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from nst_jax.cli import COMMANDS
from nst_jax.cli.shared_options import parse

_DESCRIPTION = """\
Print a script by which a shell completes commands, options and names of files.

Once, and again after an update:
  nst-jax completion bash > ~/.local/share/bash-completion/completions/nst-jax
  nst-jax completion zsh > ~/.nst-jax-completion    # and in ~/.zshrc: source ~/.nst-jax-completion
  nst-jax completion fish > ~/.config/fish/completions/nst-jax.fish"""

_OPTION = re.compile(r"^\W*(?:-\w\b[^-\n]*)?(--[a-z][a-z0-9-]*)", re.MULTILINE)
_SECOND_WORD = re.compile(r"nst-jax (?:train|weights) ([a-z][a-z0-9_]+)")
_HAVE_SECOND_WORDS = ("train", "weights")

_BASH = """\
_nst_jax() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" command="${{COMP_WORDS[1]}}" words=""
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{commands}" -- "$current"))
        return
    fi
    case "$command" in
{seconds}
    esac
    if [ "$COMP_CWORD" -eq 2 ] && [ -n "$words" ]; then
        COMPREPLY=($(compgen -W "$words" -- "$current"))
        return
    fi
    if [ -n "$words" ]; then command="$command ${{COMP_WORDS[2]}}"; fi
    case "$current" in
        -*) ;;
        *) return ;;
    esac
    case "$command" in
{options}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _nst_jax nst-jax"""


@dataclass(frozen=True)
class Completion:
    """Print a script by which a shell completes words."""

    shell: Annotated[Positional[Literal["bash", "zsh", "fish"]], arg(help_behavior_hint="")]
    """The shell."""


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax completion` say and return the exit status."""
    options = parse(Completion, arguments, command="completion", description=_DESCRIPTION)
    found = find_options()
    print(_fish_script(found) if options.shell == "fish" else _bash_script(found, options.shell))
    return 0


def find_options() -> dict[str, list[str]]:
    """Return the options of each command, by its one or two words."""
    found: dict[str, list[str]] = {}
    for command in COMMANDS:
        if command == "completion":
            found[command] = []
            continue
        text = _help_of(command)
        if command in _HAVE_SECOND_WORDS:
            for second in dict.fromkeys(_SECOND_WORD.findall(text)):
                found[f"{command} {second}"] = _options_in(_help_of(command, second))
        else:
            found[command] = _options_in(text)
    return found


def _help_of(command: str, *words: str) -> str:
    module = importlib.import_module(f"nst_jax.cli.{command}")
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
        module.run([*words, "--help"])
    return told.getvalue()


def _options_in(text: str) -> list[str]:
    return list(dict.fromkeys([*_OPTION.findall(text), "--help"]))


def _second_words(found: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {
        command: [key.split()[1] for key in found if key.startswith(f"{command} ")]
        for command in _HAVE_SECOND_WORDS
    }


def _bash_script(found: Mapping[str, Sequence[str]], shell: str) -> str:
    seconds = "\n".join(
        f'        {command}) words="{" ".join(words)}" ;;'
        for command, words in _second_words(found).items()
    )
    options = "\n".join(
        f'        "{command}") words="{" ".join(words)}" ;;' for command, words in found.items()
    )
    script = _BASH.format(commands=" ".join(COMMANDS), seconds=seconds, options=options)
    begin = "autoload -U +X compinit bashcompinit && compinit && bashcompinit\n"
    return (begin if shell == "zsh" else "") + script


def _fish_script(found: Mapping[str, Sequence[str]]) -> str:
    lines = [
        f"complete -c nst-jax -n __fish_use_subcommand -f -a {command} -d '{summary}'"
        for command, summary in COMMANDS.items()
    ]
    for command, words in _second_words(found).items():
        seen = f"__fish_seen_subcommand_from {command}"
        lines.append(f"complete -c nst-jax -n '{seen}' -a '{' '.join(words)}'")
    for command, words in found.items():
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in command.split())
        lines += [f"complete -c nst-jax -n '{seen}' -l {word[2:]}" for word in words]
    return "\n".join(lines)
