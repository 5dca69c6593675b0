"""From maps or tokens to components and one box: NAVE and the baselines."""
