"""The `smartclip` command: captions -> prediction -> training -> measurement -> verdict."""

import io
import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from inspect import getdoc, getmodule
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Union

import tyro
from tyro.conf import CascadeSubcommandArgs, OmitArgPrefixes, OmitSubcommandPrefixes, subcommand

import experiments.commands
from experiments.commands.command import Command
from experiments.registry import kinds
from experiments.run_folder import write_json
from smartclip.data.printed import shown
from theory.errors import InputError

# Flags may stand before or after the name of a data set, and need no prefix.
PLAIN_FLAGS = (CascadeSubcommandArgs, OmitArgPrefixes, OmitSubcommandPrefixes)

STDOUT = Path("-")
"""Where `--json -` writes: what people read then goes to stderr."""


def app() -> Any:
    """All commands, as tyro reads them; those of several words stand in a group."""
    found = sorted(kinds(experiments.commands, Command), key=lambda one: one.words())
    members = []
    for first, group in groupby(found, key=lambda one: one.words()[0]):
        own = list(group)
        if own[0].words() == (first,):
            members.append(Annotated[own[0], subcommand(first)])
            continue
        told = (getdoc(getmodule(own[0])) or "").partition("\n")[0].partition(": ")[2]
        parts = tuple(Annotated[one, subcommand(" ".join(one.words()[1:]))] for one in own)
        about = told[:1].upper() + told[1:]
        members.append(Annotated[Union[parts], subcommand(first, description=about)])  # noqa: UP007
    return Union[tuple(members)]  # noqa: UP007


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command. Bad input is one line on stderr and exit code 2."""
    command = parse(arguments)
    try:
        command.refuse_company()
        if command.json == STDOUT:
            with redirect_stdout(sys.stderr):  # what people read must not stand amid the JSON
                result = command.run()
        else:
            result = command.run()
        if command.json == STDOUT and result:
            print(json.dumps(result, indent=2, sort_keys=True, default=str))
        elif command.json is not None and result:  # of several processes only the first answers
            write_json(command.json, result)
    except InputError as error:
        print(f"smartclip: {shown(str(error), most=2000)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(
            "smartclip: stopped; the same command goes on from the last checkpoint", file=sys.stderr
        )
        sys.exit(130)


def parse(arguments: Sequence[str] | None) -> Command:
    """The command that the arguments describe."""
    told = io.StringIO()
    try:
        with redirect_stderr(told):
            return tyro.cli(
                app(),
                args=arguments,
                prog="smartclip",
                config=PLAIN_FLAGS,
                description="Say which concept blocks captions identify, train SmartCLIP, and show "
                "whether it recovered exactly those.",
            )
    except SystemExit as stopped:
        # torchrun gives all its processes the same arguments; the first alone complains.
        if stopped.code and os.environ.get("RANK", "0") == "0":
            print(f"smartclip: {one_line(told.getvalue())}", file=sys.stderr)
        raise


def one_line(box: str) -> str:
    """What tyro frames and explains at length: the complaint, a hint, and where to read more."""
    bare = re.sub(r"\x1b\[[0-9;]*m|[╭╮╰╯│─]|-{5,}", "", box).strip()
    # The title says less than the paragraph below it; frames left blank lines between paragraphs.
    paragraphs = [
        " ".join(map(str.strip, lines))
        for filled, lines in groupby(bare.splitlines()[1:], key=lambda line: bool(line.strip()))
        if filled
    ]
    hints = [text for text in paragraphs[1:-1] if text.startswith("Available")]
    for text in paragraphs[1:-1]:
        if meant := re.match(r"Perhaps you meant: (--[\w-]+)", text):
            hints.append(f"perhaps you meant {meant[1]}")
    return "; ".join([*paragraphs[:1], *hints, *paragraphs[1:][-1:]])


if __name__ == "__main__":
    main()
