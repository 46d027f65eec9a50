from __future__ import annotations

import matching


def test_every_public_name_is_there_once() -> None:
    assert len(set(matching.__all__)) == len(matching.__all__)
    assert [name for name in matching.__all__ if not hasattr(matching, name)] == []
