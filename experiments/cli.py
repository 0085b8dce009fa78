"""The `smartclip` command: captions -> prediction -> training -> measurement -> verdict."""

import sys
from collections.abc import Sequence
from typing import Annotated

import tyro
from tyro.conf import subcommand

from experiments.commands.bench import Bench
from experiments.commands.data import DataAudit, DataEmoji
from experiments.commands.demo import Demo
from experiments.commands.predict import Predict
from experiments.commands.train import TrainDigits, TrainEmoji, TrainVectors
from experiments.commands.verify import Verify
from experiments.run_folder import write_json
from theory.errors import InputError

Data = Annotated[
    Annotated[DataEmoji, subcommand("emoji")] | Annotated[DataAudit, subcommand("audit")],
    subcommand("data", description="Fetch real data and say what is in them."),
]
Train = Annotated[
    Annotated[TrainVectors, subcommand("vectors")]
    | Annotated[TrainDigits, subcommand("digits")]
    | Annotated[TrainEmoji, subcommand("emoji")],
    subcommand("train", description="Train SmartCLIP and write a report."),
]
App = (
    Annotated[Demo, subcommand("demo")]
    | Annotated[Predict, subcommand("predict")]
    | Annotated[Verify, subcommand("verify")]
    | Train
    | Data
    | Annotated[Bench, subcommand("bench")]
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command. Bad input is one line on stderr and exit code 2."""
    command = tyro.cli(
        App,
        args=arguments,
        prog="smartclip",
        description="Say which concept blocks captions identify, train SmartCLIP, and show whether "
        "it recovered exactly those.",
    )
    try:
        result = command.run()
        if command.json is not None:
            write_json(command.json, result)
    except InputError as error:
        print(f"smartclip: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(
            "smartclip: stopped; the same command goes on from the last checkpoint", file=sys.stderr
        )
        sys.exit(130)


if __name__ == "__main__":
    main()
