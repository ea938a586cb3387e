"""Strategies of hypothesis, made once: to make one takes longer than to draw from it."""

import functools

from hypothesis import strategies as st

once = functools.lru_cache(maxsize=None, typed=True)
integers = once(st.integers)


@once
def sample(*values):
    """Return the strategy of some values."""
    return st.sampled_from(values)


@once
def days(first, last, at_most):
    """Return the strategy of sets of days."""
    return st.sets(integers(first, last), max_size=at_most)
