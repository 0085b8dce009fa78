"""Every exception of the project comes through a pool of processes as it was raised."""

import importlib
import inspect
import pkgutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import experiments
import simulators
import smartclip
import theory
from smartclip.data.pictures import PictureError
from smartclip.train.preemption import Preempted
from theory.errors import InputError

WORDS = {"given": "what", "rule": "how", "fix": "so"}


def exceptions() -> list[type[BaseException]]:
    """The classes that modules of the four layers define."""
    found = set[type[BaseException]]()
    for layer in (theory, simulators, smartclip, experiments):
        for module in pkgutil.walk_packages(layer.__path__, f"{layer.__name__}."):
            if ".studies." in module.name or ".benchmarks." in module.name:
                continue  # scripts: they define none, and cost seconds
            of = vars(importlib.import_module(module.name)).values()
            own = (one for one in of if inspect.isclass(one) and one.__module__ == module.name)
            found |= {one for one in own if issubclass(one, BaseException)}
    return sorted(found, key=lambda one: one.__name__)


def raised(kind: type[BaseException], text: str) -> BaseException:
    """One of a kind, with the text wherever its `__init__` takes one."""
    if kind is Preempted:
        return Preempted(3, Path(text))
    if kind is PictureError:
        return PictureError(text, "corrupt")
    if kind.__init__ in (BaseException.__init__, Exception.__init__, ValueError.__init__):
        return kind(text)
    positional, named = list[Any](), dict[str, Any]()
    for name, parameter in list(inspect.signature(kind.__init__).parameters.items())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[name] = f"{name} {text}"
        elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            positional.append(f"{name} {text}")
        else:
            positional.append(text)
    return kind(*positional, **named)


KINDS = exceptions()


def test_the_kinds_are_found() -> None:
    assert {InputError, PictureError, Preempted} <= {*KINDS}
    assert len(KINDS) >= 5


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_an_exception_is_the_same_on_the_other_side(kind: type[BaseException], text: str) -> None:
    sent = raised(kind, text.replace("\0", ""))
    received = ForkingPickler.loads(bytes(ForkingPickler.dumps(sent)))
    assert type(received) is kind
    assert str(received) == str(sent)
    assert received.args == sent.args
    assert vars(received) == vars(sent)
    assert getattr(received, "code", None) == getattr(sent, "code", None)


def fail(number: int) -> int:
    if number == 1:
        raise PictureError("case 1", "corrupt")
    return number


def test_a_bad_case_leaves_the_pool_whole() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as pool:
        first, second, third = (pool.submit(fail, number) for number in range(3))
        error = second.exception()
        assert isinstance(error, PictureError)
        assert (error.given, error.fault) == ("case 1", "corrupt")
        assert (first.result(), third.result()) == (0, 2)
