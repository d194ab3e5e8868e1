"""What a network reads: characters and their numbers, the book's texts, and tasks with a known answer.

Everything but `shakespeare` is at hand without a network, and every draw takes a generator.
"""

from unrolled.data.corpora import (
    Corpus,
    hello,
    names,
    python,
    shakespeare,
    stream_chunks,
    surnames,
    text_file,
)
from unrolled.data.tasks import (
    BRACKET_CHARACTERS,
    DIGIT_WORDS,
    ORDER_CLASSES,
    ORDER_INPUTS,
    RECALL_INPUTS,
    RECALL_SYMBOLS,
    Brackets,
    Examples,
    adding,
    brackets,
    captions,
    delayed_recall,
    moving_dot,
    neighbours,
    reversal,
    temporal_order,
)
from unrolled.data.vocabulary import Vocabulary, one_hot

__all__ = [
    "BRACKET_CHARACTERS",
    "DIGIT_WORDS",
    "ORDER_CLASSES",
    "ORDER_INPUTS",
    "RECALL_INPUTS",
    "RECALL_SYMBOLS",
    "Brackets",
    "Corpus",
    "Examples",
    "Vocabulary",
    "adding",
    "brackets",
    "captions",
    "delayed_recall",
    "hello",
    "moving_dot",
    "names",
    "neighbours",
    "one_hot",
    "python",
    "reversal",
    "shakespeare",
    "stream_chunks",
    "surnames",
    "temporal_order",
    "text_file",
]
