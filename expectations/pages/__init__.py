"""The pages of the data docs: HTML and one stylesheet, without scripts or external resources."""
