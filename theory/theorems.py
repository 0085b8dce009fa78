"""The statements that a prediction rests on, each with its hypotheses, proof idea and source.

After SmartCLIP, CVPR 2025, Theorem 4.3, which gives 3.1, 3.2 and the heart of 3.3; their sharper
hypotheses and all the rest are derived here. `docs/theory.md` has the proofs.
"""

from dataclasses import dataclass
from html import escape


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
    ('C2', 'C3')
    """

    number: str
    title: str
    latex: str
    hypotheses: tuple[str, ...]
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


class Statements(dict[str, Statement]):
    """The statements by number; a number may also be written as one: `STATEMENTS[3.4]`.

    >>> STATEMENTS[3.4] is STATEMENTS["3.4"]
    True
    """

    def __missing__(self, key: object) -> Statement:
        if isinstance(key, float) and str(key) in self:
            return self[str(key)]
        raise KeyError(key)


_PAPER = "after SmartCLIP, CVPR 2025, Theorem 4.3"
_HERE = "derived here"

STATEMENTS: Statements = Statements(
    (statement.number, statement)
    for statement in (
        Statement(
            number="3.1",
            title="caption block",
            latex=r"\hat z_{\hat m} = h_m(z_{B(m)}),\quad h_m \text{ injective, continuous}",
            hypotheses=("C2", "C3"),
            conclusion="The coordinates a caption opens hold what the caption mentions, all of it "
            "and nothing else.",
            sketch="Fix what the caption mentions. The image side then varies only with the rest "
            "of z and the image noise, the text side only with the text noise. They are equal on "
            "the support, which is a product (C2), so every value of the one meets every value of "
            "the other and neither varies.",
            source=_PAPER,
            function="theory.prediction.Prediction.promise",
        ),
        Statement(
            number="3.2",
            title="union",
            latex=r"\hat z_{\hat U(S)} = h_S(z_{U(S)}),\quad h_S \text{ injective, continuous}",
            hypotheses=("C2", "C3"),
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
            r"\quad h_S \text{ injective near each point}",
            hypotheses=("C2", "C3", "C5"),
            conclusion="The coordinates that all captions of a set open hold the intersection of "
            "their blocks, locally: nearby values are told apart (globally where 3.9 applies). "
            "Without C5 they are pure but may be incomplete.",
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
            hypotheses=("C2", "C3", "C5"),
            conclusion="The identified blocks are exactly the unions and intersections of caption "
            "blocks: the sets that hold, with each concept, all that always comes with it. Their "
            "inverse is local where that of 3.3 is.",
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
            hypotheses=("C2", "C3", "C5"),
            conclusion="If j accompanies k, no condition tells k from k mixed with j. If besides "
            "which caption is said does not depend on z_k, and z_k depends on the concepts outside "
            "cl(k) only through those inside, no loss of codes tells them apart either: except for "
            "one dimension that is independent of j, where only mixtures of another law exist.",
            sketch="Wherever the coordinates of k are open so are those of j, hence the mixing "
            "can be undone inside every caption. Carry z_k to a standard normal given the rest: in "
            "two dimensions or more rotate it by an angle that z_j sets, in one reflect it, "
            "z_k -> F^-1(1 - F(z_k | rest) | rest). Both keep the law of z. Where the value of z_k "
            "chooses the caption, p(m | z) changes with it and the loss can tell the two apart.",
            source=_HERE,
            function="theory.witness.reflection",
        ),
        Statement(
            number="3.6",
            title="why the budget is needed",
            latex=r"|\hat U(\mathcal C)| = d(U(\mathcal C)) + 1 \ \Rightarrow\ "
            r"\hat N(S) \text{ may be too small}",
            hypotheses=("C2", "C3", "C4"),
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
            hypotheses=("C2", "C3", "C5"),
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
        Statement(
            number="3.9",
            title="a global inverse",
            latex=r"a \subseteq \textstyle\bigcup \{B \in \mathcal C : B \subseteq A\}"
            r"\ \text{or}\ d(a) = 1\ \text{for every atom } a \subseteq A"
            r"\ \Rightarrow\ h_A \text{ injective}",
            hypotheses=("C2", "C3", "C5"),
            conclusion="An identified block is recovered globally if each of its atoms has one "
            "dimension or lies in a caption inside the block.",
            sketch="Go up the order. Captions inside the block give back what they mention. For an "
            "atom of one dimension, hold what accompanies it: its coordinate is then a continuous "
            "and locally injective function on an interval, hence monotone.",
            source=_HERE,
            function="theory.prediction.Prediction.promise",
        ),
        Statement(
            number="3.10",
            title="the exact ambiguity",
            latex=r"\#\{i : i \text{ is open in exactly the captions } P\} = d\{k : T_k = P\},"
            r"\quad \hat z' = u(\hat z),\ \partial u_k / \partial \hat z_j \neq 0"
            r" \Rightarrow j \in \operatorname{cl}(k)",
            hypotheses=("C2", "C3", "C5"),
            conclusion="The masks are unique up to the order of the coordinates, and two solutions "
            "differ by a map that is block-triangular along accompaniment. The linear ones are the "
            "units of its incidence algebra, of dimension sum over k of d_k d(cl k).",
            sketch="3.3 gives the number of coordinates that all captions of a set open; Moebius "
            "inversion over sets of captions gives the number open in exactly one set. Each "
            "solution is near every point an invertible function of the other, and coordinates of "
            "k depend on z_{cl(k)} only.",
            source=_HERE,
            function="theory.ambiguity.ambiguity",
        ),
        Statement(
            number="3.11",
            title="without a product support",
            latex=r"\hat z_{\hat N(S)} = h(\operatorname{GK}(z_{B_1}, z_{B_2}))",
            hypotheses=("C3",),
            conclusion="Where the two noises are not shared but latents miss combinations, or are "
            "discrete, a coordinate open in two captions holds at most the Gacs-Koerner common "
            "part of their blocks: what can be computed from either. Caption blocks and unions "
            "stay complete; counts are lost, for one coordinate can hold any finite set.",
            sketch="The coordinate is a function of the one block and a function of the other, so "
            "it is constant on each component of the graph that links values which occur together. "
            "With a product support the components are the values of what the blocks share.",
            source=f"{_HERE}; Gacs and Koerner 1973",
            function="theory.common_part.common_part",
        ),
    )
)
