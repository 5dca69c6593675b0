"""The configuration, a folder for each group of choices; imported as ``nave.conf``, in a checkout as from a wheel."""
