"""An encoder's weights: from the model hub, a Python package, a file, ``nave.train``, or random."""
