"""Every error that the library raises on purpose.

    MatchingError
    ├── InvalidListing       a listing that cannot be read; names the field and the fix
    ├── InvalidCatalogue     a catalogue of controlled technologies that cannot be read; names the entry and the fix
    ├── ModelError           the encoder's weights are missing, damaged or cannot be written
    └── ArtefactError        an index, language space or weights file is foreign, truncated or mismatched
        └── DimensionMismatch    vectors of one size offered to an artefact of another

Anything else that escapes the library is a defect of the library.
"""


class MatchingError(Exception):
    """Root of the library's own errors."""


class InvalidListing(MatchingError):
    """A listing that cannot be read: `field` is what is wrong, the message says how to mend it."""

    def __init__(self, field: str, fix: str) -> None:
        super().__init__(f"{field}: {fix}")
        self.field = field
        self.fix = fix


class InvalidCatalogue(MatchingError):
    """A catalogue that cannot be read: `entry` is where it is wrong, the message says how to mend it."""

    def __init__(self, entry: str, fix: str) -> None:
        super().__init__(f"{entry}: {fix}")
        self.entry = entry
        self.fix = fix


class ModelError(MatchingError):
    """The encoder cannot be prepared or loaded."""


class ArtefactError(MatchingError):
    """A stored artefact is foreign, truncated, damaged or made for something else."""


class ClusterError(MatchingError):
    """No cluster of machines answers where one was named."""


class DimensionMismatch(ArtefactError):
    """Vectors of `found` dimensions where `expected` were needed."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"vectors of {expected} dimensions expected, {found} found")
        self.expected = expected
        self.found = found
