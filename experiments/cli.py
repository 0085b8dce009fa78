"""The `smartclip` command: captions -> prediction -> training -> measurement -> verdict."""

import io
import os
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from itertools import groupby
from typing import Annotated, Any

import tyro
from tyro.conf import subcommand

from experiments.commands.command import Command
from experiments.commands.predict import Predict
from theory.errors import InputError


def every_command() -> Any:
    """All commands as one type, for tyro; imported only when one of them may be wanted."""
    from experiments.commands.bench import Bench
    from experiments.commands.data import (
        DataAudit,
        DataEmoji,
        DataExport,
        DataPrepare,
        DataScenes,
    )
    from experiments.commands.demo import Demo
    from experiments.commands.train import (
        TrainDigits,
        TrainEmoji,
        TrainPairs,
        TrainScenes,
        TrainVectors,
    )
    from experiments.commands.verify import Verify

    data = Annotated[
        Annotated[DataEmoji, subcommand("emoji")]
        | Annotated[DataAudit, subcommand("audit")]
        | Annotated[DataPrepare, subcommand("prepare")]
        | Annotated[DataScenes, subcommand("scenes")]
        | Annotated[DataExport, subcommand("export")],
        subcommand(
            "data", description="Fetch real data, make simulated data, say what is in them."
        ),
    ]
    train = Annotated[
        Annotated[TrainVectors, subcommand("vectors")]
        | Annotated[TrainDigits, subcommand("digits")]
        | Annotated[TrainEmoji, subcommand("emoji")]
        | Annotated[TrainScenes, subcommand("scenes")]
        | Annotated[TrainPairs, subcommand("pairs")],
        subcommand("train", description="Train SmartCLIP and write a report."),
    ]
    return (
        Annotated[Demo, subcommand("demo")]
        | Annotated[Predict, subcommand("predict")]
        | Annotated[Verify, subcommand("verify")]
        | train
        | data
        | Annotated[Bench, subcommand("bench")]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command. Bad input is one line on stderr and exit code 2."""
    command = parse(arguments)
    try:
        command.refuse_company()
        result = command.run()
        if command.json is not None and result:  # of several processes only the first answers
            from experiments.run_folder import write_json

            write_json(command.json, result)
    except InputError as error:
        print(f"smartclip: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(
            "smartclip: stopped; the same command goes on from the last checkpoint", file=sys.stderr
        )
        sys.exit(130)


def parse(arguments: Sequence[str] | None) -> Command:
    """The command that the arguments describe."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    told = io.StringIO()
    try:
        with redirect_stderr(told):
            if given[:1] == ["predict"]:
                # The theory alone answers: the other commands bring torch, which takes seconds.
                return tyro.cli(Predict, args=given[1:], prog="smartclip predict")
            return tyro.cli(
                every_command(),
                args=arguments,
                prog="smartclip",
                description="Say which concept blocks captions identify, train SmartCLIP, and show "
                "whether it recovered exactly those.",
            )
    except SystemExit as stopped:
        # Of the processes of torchrun, all of which were told the same, one complains.
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
