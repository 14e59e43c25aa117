"""The command line: `ablax COMMAND ...`, each command a file of `ablax.commands`."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys

from ablax.errors import AblaxError, nearest

_ABOUT = "A laboratory for convolutional networks on JAX."

#: Each command and what it does, in the order of the help.
COMMANDS = {
    "list": "name the experiments, recipes and networks",
    "run": "run an experiment, or go on with one",
    "keep": "put a finished run's tables, plots and report into experiments/results",
    "report": "make the report of a run again from its files, without training",
    "show": "print a network of the zoo, one line a layer",
    "table": "what every layer costs: multiply-accumulates, parameters, memory",
    "doctor": "say what ails a network that does not learn, with the measurement",
    "inspect": "filters, features and likings of a network, as pictures",
    "check-gradient": "a network's gradient against finite differences",
    "profile": "where the time of a training step goes, layer by layer",
    "draw": "draw a network as data flows through it, as a page",
    "roofline": "each layer against the limits of this machine",
    "receptive-field": "which part of the image a unit of each layer sees",
    "plot-errors": "published errors against multiply-accumulates and parameters",
    "import": "take over the weights of another library",
    "predict": "classify pictures: the five likeliest classes of each",
    "evaluate": "the error of weights on the test images of a data set",
}


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave: status 0, or 2 and one message that says what to mend.

    Args:
        arguments: The words behind `ablax`; those of the process by default.
    """
    words = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no ± still gets its table
    try:
        _main(words)
    except AblaxError as error:
        print(f"ablax: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("ablax: stopped at once; the last checkpoint is as it was", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print("ablax: nobody reads the output any more: stopped", file=sys.stderr)
        sys.exit(1)


def _main(words: list[str]) -> None:
    if not words or words[0] in ("-h", "--help"):
        _overview().print_help()
        sys.exit(0 if words else 2)
    name = words[0]
    if name not in COMMANDS:
        raise AblaxError(f"there is no command {name!r}: {nearest(name, COMMANDS)}")
    command = importlib.import_module(f"ablax.commands.{_module(name)}")
    takes_fields = name == "run"  # and explains them itself
    parser = argparse.ArgumentParser(
        f"ablax {name}", description=command.__doc__, add_help=not takes_fields
    )
    command.arguments(parser)
    options, fields = parser.parse_known_args(words[1:])
    if fields and not takes_fields:
        parser.error(f"unrecognized arguments: {' '.join(fields)}")
    options.words, options.fields = words, fields
    command.run(options)


def _module(name: str) -> str:
    """`import` is a word of Python's and cannot name a module that one imports."""
    return "import_weights" if name == "import" else name.replace("-", "_")


def _overview() -> argparse.ArgumentParser:
    lines = [f"  {name:<18}{about}" for name, about in COMMANDS.items()]
    return argparse.ArgumentParser(
        "ablax",
        usage="ablax COMMAND ... (ablax COMMAND --help says what it takes)",
        description=_ABOUT,
        epilog="\n".join(["commands:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )


if __name__ == "__main__":
    main()
