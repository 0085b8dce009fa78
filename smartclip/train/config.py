"""How a model is trained: grow the code, prune it, then sharpen it.

0. *Align*, up to `align_until`: every coordinate is open, as in plain CLIP. Towers of images and
   words need it to find each other at all; towers of vectors do not. Up to `hold_text_until` the
   caption code stays at its random start, a fixed target. A code that learns follows what the
   images say already: words for what they do not yet say lose their difference, and then nothing
   asks the images to say it.
1. *Grow*, up to `prune_from`: gates are random and cost little, so coordinates find their content.
   With a `Growth` the precision of a noisy channel starts low and rises, and coordinates are kept
   apart by decorrelation.
2. *Prune*, up to `prune_until`: `budget` is charged to the gates that all captions share, and
   ramps up. Whole coordinates go, first those that repeat others (C5).
3. *Thin*, to the end of `steps`: `sparsity` is charged to the gates of single captions too (C4).
   It has to come after the budget: charged earlier, each of two captions closes a copy of what
   they share, and nothing sees that they closed different ones.
4. *Refine*, for `refine_steps`: masks stand still and the precision rises. A bounded precision is
   what makes each true dimension earn its place while masks form; it is also what lets an
   approximate alignment pass, and that is no longer needed once they stand.

Towers that are trained already need none of this: with `schedule="cosine"`, as published, every
price counts from the first step and the rates fall along one cosine.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from smartclip.objective import Similarity
from smartclip.objective.similarities import SIMILARITIES
from smartclip.train.growth import Growth
from theory.errors import refuse_broken_rules

Schedule = Literal["staged", "cosine"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """All settings of a training run.

    Attributes:
        steps: steps with learning masks.
        refine_steps: steps with masks held, at rising precision.
        batch_size: pairs per step, B.
        learning_rate: of the two towers.
        mask_learning_rate: of the mask network.
        budget_learning_rate: of the gates shared by all captions.
        similarity: see `smartclip.objective.similarity_matrix`.
        logit_scale: s while masks form.
        refine_logit_scale: s at the end.
        learned_scale: s starts at `logit_scale` and is learned at the towers' rate, as in CLIP.
        refine_alignment: weight of E |m (z^_I - z^_T)|^2 while refining. Telling apart needs only
            that codes are proportional; lossless alignment (C3) asks that they are equal.
        sparsity: nats charged per open coordinate of a caption.
        keep_rate: instead of `sparsity`, the share of coordinates that captions may open on
            average; its price rises until they do (see `smartclip.train.carried`).
        budget: nats charged per open coordinate of a caption, to the shared gates only. A
            coordinate that repeats another earns about 0.3 nats where it is open, one that carries
            a dimension of its own about 1.
        align_until: share of `steps` in which every coordinate is open.
        hold_text_until: share of `steps` in which z^_T does not learn.
        prune_from: share of `steps` at which the budget starts to count.
        prune_until: share of `steps` at which it counts in full, and sparsity starts to.
        growth: stages of the growth; None keeps s constant and adds no noise.
        schedule: "staged", the phases above; or "cosine", for trained towers.
        warm_up_steps: in which the rates rise linearly, for "cosine".
        seed: of the initial weights, the batches and the gates.
        log_every: steps between two lines of the log.
        checkpoint_every: steps between two checkpoints.
    """

    steps: int = 4000
    refine_steps: int = 1000
    batch_size: int = 512
    learning_rate: float = 2e-3
    mask_learning_rate: float = 1e-3
    budget_learning_rate: float = 2e-2
    similarity: Similarity = "likelihood_ratio"
    logit_scale: float = 2.0
    refine_logit_scale: float = 6.0
    learned_scale: bool = False
    refine_alignment: float = 1.0
    sparsity: float = 0.06
    keep_rate: float | None = None
    budget: float = 0.6
    align_until: float = 0.0
    hold_text_until: float = 0.0
    prune_from: float = 0.25
    prune_until: float = 0.6
    growth: Growth | None = None
    schedule: Schedule = "staged"
    warm_up_steps: int = 200
    seed: int = 0
    log_every: int = 50
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        rules = {
            "steps": (self.steps >= 1, "at least 1"),
            "refine_steps": (self.refine_steps >= 0, "0 or more"),
            "batch_size": (self.batch_size >= 2, "at least 2: a pair is told from another"),
            "learning_rate": (self.learning_rate > 0, "positive"),
            "mask_learning_rate": (self.mask_learning_rate > 0, "positive"),
            "budget_learning_rate": (self.budget_learning_rate > 0, "positive"),
            "similarity": (self.similarity in SIMILARITIES, "one of " + ", ".join(SIMILARITIES)),
            "logit_scale": (self.logit_scale > 0, "positive"),
            "refine_logit_scale": (self.refine_logit_scale > 0, "positive"),
            "learned_scale": (
                not (self.learned_scale and self.growth),
                "for training without growth, which sets the scale itself",
            ),
            "refine_alignment": (self.refine_alignment >= 0, "0 or more"),
            "sparsity": (self.sparsity >= 0, "0 or more"),
            "budget": (self.budget >= 0, "0 or more"),
            "keep_rate": (self.keep_rate is None or 0 < self.keep_rate <= 1, "above 0, at most 1"),
            "prune_until": (
                0 <= self.align_until <= self.prune_from < self.prune_until <= 1,
                "after prune_from, and that not before align_until, all between 0 and 1",
            ),
            "hold_text_until": (
                0 <= self.hold_text_until <= self.align_until,
                "between 0 and align_until",
            ),
            "growth": (
                self.growth is None
                or (
                    self.similarity in ("likelihood_ratio", "own_likelihood_ratio")
                    and self.schedule == "staged"
                ),
                "for the staged schedule and the likelihood ratio, whose channel it follows",
            ),
            "schedule": (
                self.schedule == "staged"
                or (self.schedule == "cosine" and not self.refine_steps and not self.align_until),
                '"staged", or "cosine" without align_until and refine_steps',
            ),
            "warm_up_steps": (self.warm_up_steps >= 0, "0 or more"),
            "log_every": (self.log_every >= 1, "at least 1"),
            "checkpoint_every": (self.checkpoint_every >= 1, "at least 1"),
        }
        refuse_broken_rules(self, rules)

    @property
    def total_steps(self) -> int:
        return self.steps + self.refine_steps

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
