"""The wire: what the API takes and gives. Output has no defaults; unknown keys of input are refused."""
