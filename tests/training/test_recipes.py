"""Recipes are read, checked by field, and tell texts apart."""

import dataclasses

import numpy as np
import pytest
from toy_run import TOY

from unrolled.data import Vocabulary
from unrolled.models import CharacterModel, load, save
from unrolled.training import (
    Recipe,
    open_corpus,
    read_recipe,
    run,
)
from unrolled.training.recipes import fingerprint

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def test_recipes_are_read_from_json_and_from_results(tmp_path):
    file = tmp_path / "recipe.json"
    file.write_text('{"hidden_size": 3}')
    assert Recipe.from_dict(read_recipe(file)).hidden_size == 3
    result = run(TOY, tmp_path / "run", progress=False)
    assert (
        Recipe.from_dict(read_recipe(tmp_path / "run" / "result.json")) == TOY == Recipe(**result["recipe"])
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shifted": "no"}, "shifted: expected True or False, got str 'no'"),
        ({"tied": 1}, "tied: expected True or False, got int 1"),
        ({"seed": 2**64}, r"seed: expected a whole number below 2\*\*63, got 18446744073709551616"),
    ],
)
def test_a_field_of_the_wrong_kind_or_size_is_named(values, message, plain_errors):
    with pytest.raises((TypeError, ValueError), match=message):
        Recipe.from_dict(values)


def test_numpys_whole_numbers_are_numbers_in_a_recipe_and_in_a_model(tmp_path, plain_errors):
    recipe = dataclasses.replace(TOY, hidden_size=np.int64(8), updates=np.int32(2), patience=np.int64(3))
    assert Recipe(**run(recipe, tmp_path / "run", progress=False)["recipe"]) == recipe
    model = CharacterModel(Vocabulary("abc"), np.int64(4), embedding_size=np.int64(2), num_layers=np.int64(1))
    assert load(save(model, tmp_path / "model")).rnn.hidden_size == 4


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"recipe": 3}', "a folder"])
def test_a_recipe_that_can_not_be_read_is_named(content, tmp_path):
    file = tmp_path / "recipe.json"
    if content == "a folder":
        file.mkdir()
    elif content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=r"recipe: expected a JSON (file|object), got .*recipe\.json"):
        read_recipe(file)


def test_a_checksum_tells_texts_apart():
    hello = open_corpus("hello")
    assert fingerprint(hello) == fingerprint(open_corpus("hello"))
    assert fingerprint(hello) != fingerprint(dataclasses.replace(hello, validation="hell"))
