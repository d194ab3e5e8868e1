"""Texts, their splits, and the stream that truncated BPTT reads."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unrolled.data import hello, names, python, stream_chunks, surnames


def test_hello_is_the_lectures_text():
    assert hello() == "hello"


def test_surnames_are_the_whole_census_list():
    rows = surnames()
    assert len(rows) == 88_799 == len({name for name, _ in rows})
    assert rows[0] == ("smith", 1.006) and rows[1] == ("johnson", 0.810)
    shares = [share for _, share in rows]
    assert shares == sorted(shares, reverse=True)
    assert 79 < sum(shares) < 80  # rarer names round to 0.000


@pytest.mark.parametrize("how_many", [None, 1000])
def test_names_split_is_fixed_complete_and_disjoint(how_many):
    corpus = names(how_many)
    assert corpus == names(how_many)
    parts = [set(part.splitlines()) for part in (corpus.train, corpus.validation, corpus.test)]
    assert sum(map(len, parts)) == (how_many or 88_799) == len(set.union(*parts))
    assert abs(len(parts[0]) / (how_many or 88_799) - 0.8) < 0.001
    assert set(corpus.train + corpus.validation + corpus.test) == set(corpus.characters)


def test_python_is_this_interpreters_own_source():
    corpus = python()
    assert 1_000_000 < len(corpus.train) < 2_600_000
    assert len(corpus.validation) > 50_000 and len(corpus.test) > 50_000
    assert len(corpus.characters) == 97 == len(set(corpus.characters))
    for text in (corpus.train, corpus.validation, corpus.test):
        assert set(text) <= set(corpus.characters)
    assert "def " in corpus.validation and "class OrderedDict" in corpus.train
    assert corpus.validation[:2000] not in corpus.train


@given(N=st.integers(2, 60), B=st.integers(1, 6), T=st.integers(1, 9))
def test_row_b_goes_on_where_row_b_stopped_and_targets_are_one_late(N, B, T):
    if B + 1 > N:
        return
    ids = torch.arange(N)
    chunks = list(stream_chunks(ids, B, T))
    x = torch.cat([x for x, _ in chunks], dim=1)
    y = torch.cat([y for _, y in chunks], dim=1)
    assert torch.equal(y, x + 1)
    assert (x[:, 1:] - x[:, :-1] == 1).all()
    assert torch.equal(x.flatten(), torch.arange(B * ((N - 1) // B)))
    assert all(x.shape == y.shape and x.shape[1] <= T for x, y in chunks)
    assert all(x.shape[1] == T for x, _ in chunks[:-1])
