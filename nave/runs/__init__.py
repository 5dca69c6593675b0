"""The run folder: its layout, writing results to it and reading them."""
