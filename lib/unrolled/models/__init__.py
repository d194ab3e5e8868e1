"""What is trained: character models, the lecture's five wirings, how text is sampled, and how weights are stored.

A model is a network of `unrolled.networks` with a readout; its file holds numbers and a recipe, never code.
"""

from unrolled.models.language import CELLS, CharacterModel, Readout, load, pretrained, read_model, save
from unrolled.models.pairs import DamagedFile
from unrolled.models.sampling import generate, probabilities
from unrolled.models.wirings import FEEDS, EncoderDecoder, ManyToMany, ManyToOne, OneToMany, OneToOne

__all__ = [
    "CELLS",
    "FEEDS",
    "CharacterModel",
    "DamagedFile",
    "EncoderDecoder",
    "ManyToMany",
    "ManyToOne",
    "OneToMany",
    "OneToOne",
    "Readout",
    "generate",
    "load",
    "pretrained",
    "probabilities",
    "read_model",
    "save",
]
