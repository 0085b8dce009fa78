"""Some emoji of both vendors with their captions."""

from matplotlib.figure import Figure

from experiments.figures.contact import Row, contact_sheet
from smartclip.data.emoji import EmojiData


def emoji_sheet(data: EmojiData) -> Figure:
    """Eight emoji by both vendors, with their captions."""
    labels = (
        "woman firefighter: dark skin tone",
        "man astronaut: light skin tone",
        "woman: medium skin tone, red hair",
        "person running: medium-dark skin tone, facing right",
        "mermaid",
        "victory hand: medium-light skin tone",
        "orange heart",
        "panda",
    )
    rows = []
    for label in labels:
        here = [row for row, emoji in enumerate(data.emoji) if emoji.label == label]
        shown = sorted(
            data.captions_of(here[0]), key=lambda caption: (caption.source, -len(caption.values))
        )
        parts = [caption for caption in shown if caption.source != "tags"][:5]
        tags = [caption for caption in shown if caption.source == "tags"][:1]
        rows.append(
            Row(
                images=[data.images[row] for row in here],
                captions=[(caption.text, sorted(caption.values)) for caption in parts + tags],
            )
        )
    return contact_sheet(
        rows,
        data.concepts,
        title="Two vendors draw each emoji; every caption mentions a known set of concepts",
        credit="Images: Noto Emoji (Google, Apache 2.0), Twemoji (Twitter, CC BY 4.0)",
    )
