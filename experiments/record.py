"""What a recipe needs and gives: machine, minutes, and the number to expect."""

from dataclasses import dataclass

NOT_YET_RUN = "not yet run: no machine for it was at hand"


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What stands beside a recipe.

    Attributes:
        machine: it is made for.
        minutes: it takes there.
        expected: the number to expect and its spread, as measured with this project.
        elsewhere: what others report of the same settings, and who.
    """

    machine: str
    minutes: str = NOT_YET_RUN
    expected: str = NOT_YET_RUN
    elsewhere: str = ""

    def __str__(self) -> str:
        told = f"made for {self.machine}; minutes: {self.minutes}; to expect: {self.expected}"
        return f"{told}; elsewhere: {self.elsewhere}" if self.elsewhere else told


TWIN = Record(machine="any CPU", minutes="seconds", expected="chance")
