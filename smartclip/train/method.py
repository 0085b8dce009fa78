"""A method: what is minimised, by which model, in which phases.

    method = (model options, objective, phases)

The methods that are compared stand on one screen, in `smartclip.methods`. Whatever a method says
holds on every data set; what belongs to a data set (towers, batch size, peak rates) does not stand
here.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from smartclip.train.phases import Phase, lasting, total_steps
from theory.errors import InputError, refuse_broken_rules


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelOptions:
    """The parts of `smartclip.model.SmartCLIP` that a method chooses.

    Attributes:
        masks: whether there is a mask network. Without one every mask is all ones, in training and
            after it: that is CLIP.
        gate: how logits become masks (`smartclip.gates`).
        opening: probability with which the gates of captions are open at first.
        shared_gates: whether each coordinate has a gate that all captions share (C5).
        whiten: whether image coordinates get unit variance.
        text_start: factor on the first weights of the projection of a transformer of captions. A
            caption that knows nothing predicts the mean of every coordinate, which is 0; to start
            near it keeps the first steps from having to unlearn random predictions.
    """

    masks: bool = True
    gate: str = "bernoulli"
    opening: float = 0.5
    shared_gates: bool = True
    whiten: bool = True
    text_start: float = 1.0

    def __post_init__(self) -> None:
        rules = {
            "opening": (0 < self.opening < 1, "strictly between 0 and 1"),
            "shared_gates": (self.masks or not self.shared_gates, "for a model with masks"),
            "text_start": (self.text_start > 0, "positive"),
        }
        refuse_broken_rules(self, rules)


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """What is minimised, apart from the weights that move with the phases.

    Attributes:
        similarity: of an image and a caption (`smartclip.objective`).
        captions: of each image in a batch; 2 are a longer and a shorter one, and their losses are
            averaged.
        components: k of Long-CLIP, whose shorter caption sees the k leading components of the
            image (`smartclip.long_caption`); None for all of it.
        learned_scale: s is learned at the towers' rate, as in CLIP, and starts at the scale of the
            first phase.
        keep_rate: wherever a phase charges `sparsity`, hold the share of coordinates that captions
            open at most at this instead; its price rises until they do
            (`smartclip.train.loss_state`).
    """

    similarity: str = "likelihood_ratio"
    captions: int = 1
    components: int | None = None
    learned_scale: bool = False
    keep_rate: float | None = None

    def __post_init__(self) -> None:
        rules = {
            "captions": (self.captions in (1, 2), "1 or 2"),
            "components": (
                self.components is None or (self.components >= 1 and self.captions == 2),
                "at least 1, for two captions an image",
            ),
            "keep_rate": (self.keep_rate is None or 0 < self.keep_rate <= 1, "above 0, at most 1"),
        }
        refuse_broken_rules(self, rules)


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """One way to train given towers on given batches.

    Attributes:
        name: on the command line, and of run folders.
        title: for people.
        model: options of the model.
        objective: what is minimised.
        phases: of the training.
        captions_first: training of the caption tower on pairs of captions, before any image
            (`smartclip.train.caption_pairs`); None for none.

    Raises:
        InputError: phases that the model cannot go through.
    """

    name: str
    title: str
    model: ModelOptions
    objective: Objective
    phases: tuple[Phase, ...]
    captions_first: "Method | None" = None

    def __post_init__(self) -> None:
        if not self.phases:
            raise InputError(
                f"method {self.name!r} without phases",
                rule="a training has at least one phase",
                fix="give a Phase",
            )
        for number, phase in enumerate(self.phases, start=1):
            if not self.model.masks and phase.gates != "open":
                raise InputError(
                    f"phase {number} of {self.name!r} with gates {phase.gates!r}",
                    rule="a model without masks has no gates to draw or to hold",
                    fix='let them be "open", or give the model masks',
                )
            channel = phase.noise or phase.least_scale is not None
            if channel and not self.objective.similarity.endswith("likelihood_ratio"):
                raise InputError(
                    f"phase {number} of {self.name!r} with a noisy channel and the similarity "
                    f"{self.objective.similarity!r}",
                    rule="the channel is the one whose likelihood ratio the similarity is",
                    fix='take "likelihood_ratio", or neither noise nor least_scale',
                )

    @property
    def steps(self) -> int:
        """How long all phases last."""
        return total_steps(self.phases)

    def lasting(self, steps: int) -> "Method":
        """The same method in so many steps, its phases in proportion."""
        return replace(self, phases=lasting(self.phases, steps))

    def to_dict(self) -> dict[str, Any]:
        """All of it in plain JSON types."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What a data set grants to every method alike.

    Attributes:
        steps: of training.
        dimension: D, coordinates of the code.
        warm_up: steps in which the rates rise.
    """

    steps: int
    dimension: int
    warm_up: int = 100

    def __post_init__(self) -> None:
        rules = {
            "steps": (self.steps >= 1, "at least 1"),
            "dimension": (self.dimension >= 1, "at least 1"),
            "warm_up": (self.warm_up >= 0, "0 or more"),
        }
        refuse_broken_rules(self, rules)
