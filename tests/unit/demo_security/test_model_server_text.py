"""Tokens, embeddings and example values for any text and schema."""

from __future__ import annotations

import json
import math

import jsonschema
from hypothesis import example, given
from hypothesis import strategies as st
from model_server.embeddings import embed
from model_server.skills.schema import example_text
from model_server.tokens import CACHE_MINIMUM, PromptCache, count_tokens, tokenize


@given(st.text())
def test_tokens_joined_are_the_text(text):
    assert "".join(tokenize(text)) == text


@given(st.text(), st.text())
def test_more_text_never_has_fewer_tokens(one, two):
    assert count_tokens(one + two) >= max(count_tokens(one), count_tokens(two)) - 1


@given(st.text(), st.integers(min_value=1, max_value=300))
@example("H", 8)
@example("", 1)
def test_every_embedding_is_a_unit_vector_and_always_the_same(text, dimensions):
    vector = embed(text, dimensions)
    assert len(vector) == dimensions
    length = math.sqrt(sum(value * value for value in vector))
    assert math.isclose(length, 1, abs_tol=1e-6)
    assert embed(text, dimensions) == vector


@given(st.integers(min_value=0, max_value=3000), st.integers(min_value=0, max_value=3000))
def test_what_is_cached_is_a_common_prefix_of_whole_steps(shared, more):
    cache = PromptCache()
    prefix = [f"p{number}" for number in range(shared)]
    cache.cached_tokens("m", prefix + ["a"] * more)
    cached = cache.cached_tokens("m", prefix + ["b"] * more)
    assert cached <= shared
    assert cached == 0 or cached >= CACHE_MINIMUM
    assert cached % 128 == 0
    assert cache.cached_tokens("other model", prefix) == 0


_LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer", "minimum": 4},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "null"},
        {"enum": ["a", "b"]},
        {"const": 5},
        {"type": ["string", "null"]},
    ]
)


def _nested(children: st.SearchStrategy[dict[str, object]]) -> st.SearchStrategy[dict[str, object]]:
    return st.one_of(
        st.dictionaries(st.sampled_from("xyz"), children).map(
            lambda properties: {
                "type": "object",
                "properties": properties,
                "required": list(properties),
            }
        ),
        children.map(lambda items: {"type": "array", "items": items, "minItems": 2}),
        st.lists(children, min_size=1, max_size=2).map(lambda options: {"anyOf": options}),
    )


@given(st.recursive(_LEAVES, _nested, max_leaves=6), st.randoms())
def test_an_example_is_valid_for_its_schema(schema, random):
    jsonschema.validate(json.loads(example_text(schema, random)), schema)
