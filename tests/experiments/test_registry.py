"""Things list themselves: a file in a folder is enough."""

import experiments.commands
import experiments.datasets
import experiments.studies
from experiments.commands.command import Command
from experiments.datasets.dataset import Dataset
from experiments.harness import Study
from experiments.registry import kinds, modules


def test_commands_are_named_by_their_class():
    words = [one.words() for one in kinds(experiments.commands, Command)]
    assert len(set(words)) == len(words)
    assert {("predict",), ("train",), ("study",), ("data", "audit")} <= set(words)
    assert all(one.__doc__ for one in kinds(experiments.commands, Command))


def test_every_study_has_a_hypothesis_and_seeds_by_size():
    studies = kinds(experiments.studies, Study)
    assert len(studies) == len(modules(experiments.studies))
    for study in studies:
        assert study.hypothesis
        assert study.about
        assert set(study.seeds) == {"smoke", "laptop", "full"}
        assert study().cases("smoke", study.seeds["smoke"], ())


def test_abstract_kinds_and_what_is_imported_are_left_out():
    found = kinds(experiments.datasets, Dataset)
    assert Dataset not in found
    assert len({one.name for one in found}) == len(found)
