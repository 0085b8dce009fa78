"""The `smartclip` command: captions -> prediction -> training -> measurement -> verdict."""

import atexit
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr, redirect_stdout, suppress
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Union

# What follows is imported where Ctrl-C already is one line.
if TYPE_CHECKING:
    from experiments.commands.command import Command


def app() -> Any:
    """All commands, as tyro reads them; those of several words stand in a group."""
    from inspect import getdoc, getmodule

    from tyro.conf import subcommand

    import experiments.commands
    from experiments.commands.command import Command
    from experiments.registry import kinds

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
    """Run one command. Bad input is one line on stderr and exit code 2; Ctrl-C is 130."""
    interrupted = False

    def interrupt(_signal: int, _frame: object) -> NoReturn:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    before, resumes, of_threads = None, False, threading.excepthook
    threading.excepthook = _of_a_thread
    with suppress(ValueError):  # only a main thread can listen
        before = signal.signal(signal.SIGINT, interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may know fewer signs than names have
            stream.reconfigure(errors="backslashreplace")
    try:
        command = parse(arguments)
        resumes = command.resumes
        _run(command)
    except BaseException as error:
        # Libraries turn an interrupt into errors of their own while they are imported.
        if not interrupted and not isinstance(error, KeyboardInterrupt):
            raise
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
        told = "; the same command goes on from where it was saved last" if resumes else ""
        print(f"smartclip: stopped{told}", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    finally:
        threading.excepthook = of_threads
        if before is not None:
            signal.signal(signal.SIGINT, before)


def _of_a_thread(failed: threading.ExceptHookArgs) -> None:
    """A full disk stops TensorBoard's own thread too; the main thread meets it and says so."""
    if not issubclass(failed.exc_type, OSError):
        threading.__excepthook__(failed)


def _run(command: "Command") -> None:
    from smartclip.data.printed import shown
    from theory.errors import InputError

    try:
        command.refuse_company()
        # What people read makes room for what programs read.
        with redirect_stdout(sys.stderr) if command.pipes else nullcontext():
            result = command.run()
        if result:  # of several processes only the first answers
            command.answer(result)
        sys.stdout.flush()
        if code := command.code(result):
            sys.exit(code)
    except InputError as error:
        print(f"smartclip: {shown(str(error), most=2000)}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # as in `smartclip predict | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        why = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
        told = f"the system refuses ({why or error}); check the path and the disk"
        print(f"smartclip: {shown(told, most=2000)}", file=sys.stderr)
        sys.exit(2)


def parse(arguments: Sequence[str] | None) -> "Command":
    """The command that the arguments describe."""
    import tyro
    from tyro.conf import CascadeSubcommandArgs, OmitArgPrefixes, OmitSubcommandPrefixes

    told = io.StringIO()
    try:
        with redirect_stderr(told):
            return tyro.cli(
                app(),
                args=arguments,
                prog="smartclip",
                # Flags may stand before or after the name of a data set, and need no prefix.
                config=(CascadeSubcommandArgs, OmitArgPrefixes, OmitSubcommandPrefixes),
                description="Say which concept blocks captions identify, train SmartCLIP, and show "
                "whether it recovered exactly those.",
            )
    except SystemExit as stopped:
        # torchrun gives all its processes the same arguments; the first alone complains.
        if stopped.code and os.environ.get("RANK", "0") == "0":
            from smartclip.data.printed import shown

            print(f"smartclip: {shown(one_line(told.getvalue()), most=2000)}", file=sys.stderr)
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
