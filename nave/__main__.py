"""The command ``nave``: ``nave run k=5`` is ``python -m nave.run k=5``, and so on for every command."""

import runpy
import sys
from collections.abc import Sequence
from importlib.metadata import version

from nave.near_names import near
from nave.processes.signals import ended_with_its_reader

COMMANDS = {  # a command is the module nave.NAME, imported when it is called
    "run": "explain images: maps, boxes, scores; with -m, a sweep",
    "train": "train an encoder, to be explained",
    "sweep": "say what of a sweep has finished or failed, and how to go on",
    "report": "write the page to look at, of one or several runs",
    "diff": "say what a training changed: two checkpoints, same images",
    "compare": "compare what encoders see in the same images",
    "figure": "draw maps for a paper, PDF and PNG",
    "overlay": "draw overlays that a large run has left out",
    "export": "give results to pycocotools, FiftyOne or labelme",
    "evaluate": "score finished runs again from disk",
    "dashboard": "save a W&B workspace that shows the runs of a project",
    "bench": "measure speed and memory on this machine",
}
COMPLETION = r"""
_nave() {
  local words="@" line="${COMP_LINE#*nave ${COMP_WORDS[1]}}"
  case "$COMP_CWORD ${COMP_WORDS[1]}" in
    1*) ;;
    *\ run|*\ train) words="$(COMP_LINE="nave$line" nave "${COMP_WORDS[1]}" -sc query=bash 2>/dev/null)" ;;
    *) words="" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
complete -o nospace -o default -F _nave nave
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code where it returns at all."""
    with ended_with_its_reader():
        return _main(sys.argv[1:] if arguments is None else arguments)


def _main(arguments: Sequence[str]) -> int:
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help", "help"):
        print(_help())
        return 0
    if name in ("-V", "--version"):
        print(f"nave {version('nave')}")
        return 0
    if name == "--completion":
        print(COMPLETION.replace("@", " ".join(COMMANDS)))
        return 0
    if name not in COMMANDS:
        hint = near(name, COMMANDS, "nave ")
        print(f"error: there is no nave {name}.{hint} There are: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    sys.argv[:] = [f"nave {name}", *rest]
    runpy.run_module(f"nave.{name}", run_name="__main__", alter_sys=True)  # as python -m does it
    return 0


def _help() -> str:
    lines = [f"  nave {name:<10} {says}" for name, says in COMMANDS.items()]
    return "\n".join(["What training put into a vision encoder, seen in maps of its activations.", "", *lines, *_FOOT])


_FOOT = ("", "nave COMMAND --help says more; nave --version the version.", "Each is python -m nave.COMMAND too.")

if __name__ == "__main__":
    sys.exit(main())
