import matplotlib.pyplot as plt

from experiments.figures.scenes import scene_sheet
from simulators import SceneWorld


def test_every_scene_is_shown_with_the_concepts_its_caption_mentions():
    world = SceneWorld()
    figure = scene_sheet(world, seed=0, rows=2, columns=2)
    batch = world.sample(4, seed=0)
    assert len(figure.axes) == 4
    for axes, caption in zip(figure.axes, batch.caption.tolist(), strict=True):
        named, said = (text.get_text() for text in axes.texts)
        assert set(named.replace("\n", " ").split(" · ")) == set(world.family.captions[caption])
        assert said
        assert axes.images[0].get_array().shape == (64, 64, 3)
    plt.close(figure)
