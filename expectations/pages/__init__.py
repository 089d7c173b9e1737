"""The pages of the data docs: plain HTML and one stylesheet, nothing fetched, nothing run."""
