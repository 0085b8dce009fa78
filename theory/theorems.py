"""The statements that a prediction rests on, each with its hypotheses, proof idea and source.

SmartCLIP, CVPR 2025, Theorem 4.3 gives 3.1, 3.2 and the heart of 3.3; the rest is derived here.
"""

from dataclasses import dataclass
from html import escape

from theory.prediction import ConditionName


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """A numbered statement: under `hypotheses`, `conclusion`.

    Attributes:
        number: as `Promise.statement` cites it.
        title: a few words.
        latex: the statement in LaTeX.
        hypotheses: the conditions it assumes.
        conclusion: the statement in words.
        sketch: the idea of the proof.
        source: where it is from.
        function: the dotted name of what applies it in this package.

    >>> STATEMENTS["3.1"].hypotheses
    ('C1', 'C2', 'C3')
    """

    number: str
    title: str
    latex: str
    hypotheses: tuple[ConditionName, ...]
    conclusion: str
    sketch: str
    source: str
    function: str

    def _repr_html_(self) -> str:
        return (
            f"<p><b>{self.number} {escape(self.title)}</b> "
            f"({', '.join(self.hypotheses) or 'no conditions'}; {escape(self.source)})<br>"
            f"{escape(self.conclusion)}</p><p>$$ {self.latex} $$</p>"
            f"<details><summary>idea of the proof</summary>{escape(self.sketch)}</details>"
        )


_PAPER = "SmartCLIP, CVPR 2025, Theorem 4.3"
_HERE = "derived here"

STATEMENTS: dict[str, Statement] = {
    statement.number: statement
    for statement in (
        Statement(
            number="3.1",
            title="caption block",
            latex=r"\hat z_{\hat m} = h_m(z_{B(m)}),\quad h_m \text{ injective, continuous}",
            hypotheses=("C1", "C2", "C3"),
            conclusion="The coordinates a caption opens hold what the caption mentions, all of it "
            "and nothing else.",
            sketch="Fix what the caption mentions. The image side then varies only with the rest "
            "of z and the image noise, the text side only with the text noise. They are equal "
            "and independent, so neither varies.",
            source=_PAPER,
            function="theory.prediction.Prediction.promise",
        ),
        Statement(
            number="3.2",
            title="union",
            latex=r"\hat z_{\hat U(S)} = h_S(z_{U(S)}),\quad h_S \text{ injective, continuous}",
            hypotheses=("C1", "C2", "C3"),
            conclusion="The coordinates that any caption of a set opens hold the union of their "
            "blocks.",
            sketch="Put the maps of 3.1 side by side: each part of the union is determined by the "
            "coordinates of some caption in the set.",
            source=_PAPER,
            function="theory.prediction.Prediction.promise",
        ),
        Statement(
            number="3.3",
            title="intersection",
            latex=r"|\hat N(S)| = d(N(S)),\quad \hat z_{\hat N(S)} = h_S(z_{N(S)}),"
            r"\quad h_S \text{ locally invertible}",
            hypotheses=("C1", "C2", "C3", "C5"),
            conclusion="The coordinates that all captions of a set open hold the intersection of "
            "their blocks. Without C5 they are pure but may be incomplete.",
            sketch="A coordinate open in two captions is a function of either block alone, so, the "
            "support being a product, of what they share. Invariance of domain bounds the "
            "coordinates of each union from below and the budget from above; inclusion and "
            "exclusion then give the size of every intersection.",
            source=f"{_PAPER}; counts and budget {_HERE}",
            function="theory.prediction.Prediction.promise",
        ),
        Statement(
            number="3.4",
            title="everything a family promises",
            latex=r"\{A \neq \emptyset : \operatorname{cl}(k) \subseteq A\ \forall k \in A\},\quad"
            r" \operatorname{cl}(k) = \textstyle\bigcap \{B \in \mathcal C : k \in B\}",
            hypotheses=("C1", "C2", "C3", "C5"),
            conclusion="The identified blocks are exactly the unions and intersections of caption "
            "blocks: the sets that hold, with each concept, all that always comes with it.",
            sketch="Unions and intersections follow from 3.2 and 3.3. In one solution let each "
            "coordinate of k depend on all of its closure: then no other block is complete and "
            "pure.",
            source=f"{_HERE}; Birkhoff 1937",
            function="theory.captions.CaptionFamily.identified",
        ),
        Statement(
            number="3.5",
            title="sharpness",
            latex=r"j \in \operatorname{cl}(k),\ j \neq k:\quad"
            r" \hat z_k \mapsto \varphi(\hat z_k; z_j) \text{ keeps C3 to C5}",
            hypotheses=("C1", "C2", "C3", "C5"),
            conclusion="If j accompanies k, the objective cannot tell k from k mixed with j.",
            sketch="Wherever the coordinates of k are open so are those of j, hence the mixing "
            "can be undone inside every caption. If k has two dimensions or more the mixing "
            "can be a rotation that keeps the law of the code, so any loss of codes is equal.",
            source=_HERE,
            function="theory.witness.rotation",
        ),
        Statement(
            number="3.6",
            title="why the budget is needed",
            latex=r"|\hat U(\mathcal C)| = d(U(\mathcal C)) + 1 \ \Rightarrow\ "
            r"\hat N(S) \text{ may be too small}",
            hypotheses=("C1", "C2", "C3", "C4"),
            conclusion="With one spare coordinate two captions that share a concept can each hold "
            "their own copy of a shared dimension.",
            sketch="Copy the coordinate and open one copy in each caption: every mask has the same "
            "size as before, alignment is exact, and no coordinate is open in both.",
            source=_HERE,
            function="theory.witness.duplicated_code",
        ),
        Statement(
            number="3.7",
            title="caption design",
            latex=r"\operatorname{cl}(k) = \{k\}\ \forall k \iff"
            r" T_k \neq \emptyset,\ T_k \not\subseteq T_j\ (j \neq k);\quad"
            r" \tbinom{n}{\lfloor n/2 \rfloor} \ge K",
            hypotheses=(),
            conclusion="All concepts are identified one by one iff the sets of captions that "
            "mention them are non-empty and pairwise incomparable.",
            sketch="j is in cl(k) iff every caption with k has j, that is T_k within T_j. The rest "
            "is Sperner's theorem; with at most L concepts a caption, counting mentions.",
            source=f"{_HERE}; Sperner 1928, Dickson 1969, Spencer 1970",
            function="theory.design.smallest_family",
        ),
        Statement(
            number="3.8",
            title="measuring under dependent latents",
            latex=r"R^2(\hat z_{\hat B} \leftarrow z_B) = 1 \iff \text{no leak};\quad"
            r" R^2 \approx 1 \text{ says little above the floor}"
            r" R^2(z_B \leftarrow z_{\bar B})",
            hypotheses=("C2",),
            conclusion="A score close to 1 certifies recovery only as far as it is close compared "
            "with what other latents predict anyway: the concepts outside the block (the floor) "
            "and, for completeness, also the other dimensions within it. Swapping the others "
            "while holding the block is exact.",
            sketch="With latents correlated at 0.995, the code of the wrong concept scores 0.99. "
            "If two dimensions of one block are that close, a code of one of them scores 0.99 for "
            "both although the floor is 0: the hurdle of a dimension is what all other latents "
            "tell of it.",
            source=_HERE,
            function="theory.witness.wrong_concept",
        ),
    )
}
