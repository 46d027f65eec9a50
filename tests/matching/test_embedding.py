from __future__ import annotations

import numpy as np
import pytest

from matching import ArtefactError, HashingEncoder, embed, embedding_from_bytes, embedding_to_bytes, read_listing

TEXT = "水泵用于灌溉。" * 20 + "A pump for dry fields, run by the sun. " * 20


def test_an_embedding_is_read_as_it_was_written() -> None:
    listing = read_listing({"id": "a", "side": "offer", "title": "Pump 泵", "description": TEXT})
    made = embed([listing], HashingEncoder())[0]
    read = embedding_from_bytes(embedding_to_bytes(made))
    assert (read.language, read.passages, list(read.words)) == (made.language, made.passages, list(made.words))
    assert len(read.passages) > 1
    np.testing.assert_array_equal(read.vector, made.vector)
    np.testing.assert_array_equal(read.title_vector, made.title_vector)
    np.testing.assert_array_equal(read.passage_vectors, made.passage_vectors)


def test_half_the_room_costs_a_cosine_of_a_thousandth_at_most() -> None:
    listing = read_listing({"id": "a", "side": "offer", "description": "A pump for dry fields"})
    encoder = HashingEncoder()
    exact = encoder.encode([listing.text])[0]
    kept = embed([listing], encoder)[0].vector.astype(np.float32)
    assert float(exact @ kept) == pytest.approx(1.0, abs=1e-3)


def test_a_body_that_is_truncated_or_of_another_form_is_refused() -> None:
    listing = read_listing({"id": "a", "side": "offer", "title": "Pump", "description": TEXT})
    body = embedding_to_bytes(embed([listing], HashingEncoder())[0])
    for wrong in (b"", body[:10], body[:-1], body + b"x", b"PK" + body[2:], b"not an embedding at all"):
        with pytest.raises(ArtefactError, match="stored embedding"):
            embedding_from_bytes(wrong)
    with pytest.raises(ArtefactError, match="stored embedding"):
        embedding_from_bytes(body[:20] + b"}" + body[21:])
