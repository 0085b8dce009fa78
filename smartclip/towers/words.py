"""A text tower of words alone, `t -> (z_T, states)`: what is said, not in which order.

    z_T = A u + g(u),    u = sum_w e_w over the tokens of the caption,    states = e_w,

with a perceptron g that starts at zero. A fresh tower is therefore a random *linear* code of
words: every word moves z_T by a vector of its own, however long the caption is. A transformer's
end-of-text state starts nearly the same for all captions. As a target that images learn from
(`TrainConfig.hold_text_until`), the first tells all words apart and the second hardly any.

It cannot tell "left red, right blue" from "left blue, right red"; where no two captions have the
same words in another order, nothing is lost.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from smartclip.text import PADDING
from smartclip.towers.inputs import require_tokens
from theory.errors import refuse_broken_rules

# A caption of so many words starts with this variance in every coordinate of z_T.
WORDS, SHARE = 20, 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class WordConfig:
    """Size of a tower of words.

    Attributes:
        vocabulary: number of token ids, `Tokenizer.size`.
        context: longest caption in tokens with its start and end, `Tokenizer.context`.
        width: of the embedding of a word, W.
        hidden: width of the perceptron's one hidden layer.
    """

    vocabulary: int
    context: int
    width: int = 64
    hidden: int = 256

    def __post_init__(self) -> None:
        rules = {
            name: (getattr(self, name) >= 1, "at least 1")
            for name in ("vocabulary", "context", "width", "hidden")
        }
        refuse_broken_rules(self, rules)


class WordTower(nn.Module):
    """`t -> (z_T, states)` from the sum of the words' embeddings.

    Weights are drawn from torch's default generator, like those of any `nn.Module`.

    Args:
        config: size of the tower.
        dimension: D, coordinates of the code.

    >>> tower = WordTower(WordConfig(vocabulary=9, context=4), 5)
    >>> one, two = torch.tensor([[1, 3, 8, 0]]), torch.tensor([[3, 8, 1, 0]])
    >>> torch.allclose(tower(one)[0], tower(two)[0], atol=1e-6)
    True
    """

    def __init__(self, config: WordConfig, dimension: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width, padding_idx=PADDING)
        self.linear = nn.Linear(config.width, dimension)
        last = nn.Linear(config.hidden, dimension)
        self.perceptron = nn.Sequential(nn.Linear(config.width, config.hidden), nn.GELU(), last)
        nn.init.normal_(self.linear.weight, std=math.sqrt(SHARE / (WORDS * config.width)))
        nn.init.zeros_(self.linear.bias)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    @property
    def width(self) -> int:
        """W, the width of the states that the mask network reads."""
        return self.config.width

    @torch.no_grad()
    def standardise(self, tokens: Int[Tensor, "n l"]) -> None:
        """Give z_T mean 0 over these captions, and the mean variance that a fresh tower has."""
        code, _ = self(tokens)
        factor = (SHARE / code.var(0).mean()).sqrt()
        self.linear.bias -= code.mean(0)
        for layer in (self.linear, self.perceptron[-1]):
            for parameter in layer.parameters():
                parameter *= factor

    def forward(
        self, tokens: Int[Tensor, "b l"]
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b l w"]]:
        """`(z_T [B, D], states [B, L, W])`; the state of padding is 0."""
        require_tokens(tokens, context=self.config.context)
        states = self.embedding(tokens)
        said = states.sum(1)
        return self.linear(said) + self.perceptron(said), states
